"""PACK: tensors of one shape, stacked along a new axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _join, _movement
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted, without

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pack(_movement.Movement):
    """The operands side by side along a new axis, number `axis` of the result."""

    name: ClassVar[str] = "PACK"

    axis: int = 0

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        given = [t for t in types if t is not None]
        if not given or len(given) < len(types):
            raise ValueError("takes one operand or more, none left out")
        first = given[0]
        for other in given[1:]:
            if (other.shape, other.dtype) != (first.shape, first.dtype):
                raise ValueError(f"{first} and {other} are not of one shape")
        if not 0 <= self.axis <= first.rank:
            raise ValueError(f"axis {self.axis} cannot be added to {first}")
        shape = (*first.shape[: self.axis], len(given), *first.shape[self.axis :])
        return (TensorType(shape, first.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0 and all(t is not None and t.shape[0] == 1 for t in types)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = Pack(order.index(self.axis))
        return Permuted(moved, (without(order, {self.axis}),) * len(types), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        given = [a for a in arrays if a is not None]
        if self.axis > 0:  # a constant has one row for every sample of a widened batch
            count = max(len(a) for a in given)
            given = [np.repeat(a, count // len(a), axis=0) for a in given]
        return (np.stack(given, self.axis),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        given = tensors
        if self.axis > 0:  # as in `float_ref`
            count = max(len(t) for t in tensors)
            given = tuple(t.expand(count, *t.shape[1:]) for t in tensors)
        return torch.stack(given, self.axis)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        axis, operands = node.options["axis"], tuple(range(len(node.types)))
        return cls(axis + len(node.outputs[0].shape) if axis < 0 else axis), operands

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        count = len(types.inputs)
        fields = {"values_count": count, "axis": self.axis}
        return TfliteOp("PackOptions", fields, tuple(range(count)))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (_join.KERNEL,)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels are those of all operands, on the last axis or on the one before it."""
        first = types[0]
        assert first is not None
        if not first.rank:
            return ()
        last = first.rank - 1
        members = [AxisRef(i, last) for i in range(len(types))]
        moved = AxisRef(-1, last + (self.axis <= last))
        return (Coupling(first.shape[last], (*members, moved)),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            axis = draw(st.integers(0, x.rank))
            operands = [Operand(x) for _ in range(draw(st.integers(1, 5)))]
            if len(operands) > 1 and draw(st.integers(0, 3)) == 0:
                operands[-1] = Operand(x, _draw.values(draw(_draw.rng()), x))
            return Sample(cls(axis), tuple(operands), (x.quant,))

        return draw_sample()
