"""CONCATENATION: any number of tensors, one after the other along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ops import _join, _movement
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Concatenation(_movement.Movement):
    """The operands along `axis`, which counts from 0; the other dimensions are equal."""

    name: ClassVar[str] = "CONCATENATION"

    axis: int = 0

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        given = [t for t in types if t is not None]
        if not given or len(given) < len(types):
            raise ValueError("takes one operand or more, none left out")
        first = given[0]
        if not 0 <= self.axis < first.rank:
            raise ValueError(f"axis {self.axis} does not exist in {first}")
        for other in given[1:]:
            rest = [(*t.shape[: self.axis], *t.shape[self.axis + 1 :]) for t in (first, other)]
            if (first.rank, first.dtype, rest[0]) != (other.rank, other.dtype, rest[1]):
                raise ValueError(f"{first} and {other} do not fit along axis {self.axis}")
        size = sum(t.shape[self.axis] for t in given)
        shape = (*first.shape[: self.axis], size, *first.shape[self.axis + 1 :])
        return (TensorType(shape, first.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0 and all(t is not None and t.shape[0] == 1 for t in types)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        given = [a for a in arrays if a is not None]
        if self.axis > 0:  # a constant has one row for every sample of a widened batch
            count = max(len(a) for a in given)
            given = [np.repeat(a, count // len(a), axis=0) for a in given]
        return (np.concatenate(given, self.axis),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = Concatenation(order.index(self.axis))
        return Permuted(moved, (order,) * len(types), (order,))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        count = max(len(t) for t in tensors)
        rows = tensors
        if self.axis > 0:
            rows = tuple(t if len(t) == count else t.expand(count, *t.shape[1:]) for t in tensors)
        return torch.cat(rows, dim=self.axis)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        activation = node.options["fused_activation_function"]
        if activation != "NONE":
            raise UnsupportedModelError(
                f"fused activation {activation}: no kernel has one here",
                hint="export the activation on its own",
            )
        axis = node.options["axis"]
        return cls(axis + len(node.outputs[0].shape) if axis < 0 else axis), tuple(
            range(len(node.types))
        )

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"axis": self.axis, "fused_activation_function": "NONE"}
        return TfliteOp("ConcatenationOptions", fields, tuple(range(len(types.inputs))))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (_join.KERNEL,)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Joined channels keep to themselves, shifted by those before; others go together."""
        shapes = [t.shape for t in types if t is not None]
        last = len(shapes[0]) - 1
        if self.axis < last:
            members = [AxisRef(i, last) for i in range(len(shapes))]
            return (Coupling(shapes[0][last], (*members, AxisRef(-1, last))),)
        sizes = [shape[last] for shape in shapes]
        return tuple(
            Coupling(size, (AxisRef(i, last), AxisRef(-1, last, offset=sum(sizes[:i]))))
            for i, size in enumerate(sizes)
        )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(), "int16"))
            axis = draw(st.sampled_from((x.rank - 1, draw(st.integers(0, x.rank - 1)))))
            sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
            types = [x.with_shape((*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in sizes]
            if axis == 0:  # graph inputs have batch 1
                types = [x] * len(types)
            operands = [Operand(type) for type in types]
            if len(operands) > 1 and draw(st.integers(0, 3)) == 0:
                operands[-1] = Operand(types[-1], _draw.values(draw(_draw.rng()), types[-1]))
            return Sample(cls(axis), tuple(operands), (x.quant,))

        return draw_sample()
