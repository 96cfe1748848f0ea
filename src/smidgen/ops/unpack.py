"""UNPACK: the slices of a tensor along an axis, each without that axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement, _split
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted, without

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Unpack(_split.Splitting):
    """The `num` slices of the operand along `axis`, which they no longer have."""

    name: ClassVar[str] = "UNPACK"

    num: int = 1
    axis: int = 0

    def parts(self, x: TensorType) -> tuple[int, ...]:
        if self.size(x) != self.num:
            raise ValueError(f"axis {self.axis} of {x.shape} has no {self.num} slices")
        return (1,) * self.num

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        return tuple(
            t.with_shape((*t.shape[: self.axis], *t.shape[self.axis + 1 :]))
            for t in super().infer(*types)
        )

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        left = without(order, {self.axis})
        return Permuted(self.along(order.index(self.axis)), (order,), (left,) * self.num)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return tuple(part.squeeze(self.axis) for part in super().float_ref(*arrays))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tuple(tensors[0].unbind(self.axis))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        x = node.types[0]
        assert x is not None
        axis = node.options["axis"]
        return cls(node.options["num"], axis + x.rank if axis < 0 else axis), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("UnpackOptions", {"num": self.num, "axis": self.axis}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "bool": 3, "int16": 4}.get(types.dtype, 1)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels are in every slice, unless they are what is taken apart."""
        x = _movement.the_operand(types)
        last = x.rank - 1
        if self.axis == last:
            return ()
        members = [AxisRef(~i, last - 1) for i in range(self.num)]
        return (Coupling(x.shape[last], (AxisRef(0, last), *members)),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            axis = draw(st.integers(1, x.rank - 1))  # results have a batch of their own
            count = draw(st.integers(1, 5))
            x = x.with_shape((*x.shape[:axis], count, *x.shape[axis + 1 :]))
            return Sample(cls(count, axis), (Operand(x),), _split.quants(x, count))

        return draw_sample()
