"""REVERSE_V2: a tensor the other way round along some axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _walk(site: Site) -> _movement.Walk:
    x, op = site.input(0), site.op
    assert isinstance(op, ReverseV2)
    strides = _movement.strides(x.shape)
    first = sum((x.shape[axis] - 1) * strides[axis] for axis in op.axis)
    signed = [-s if axis in op.axis else s for axis, s in enumerate(strides)]
    return _movement.Walk.over(x.shape, signed, _movement.item_bytes(x), first)


@dataclass(frozen=True)
class ReverseV2(_movement.Movement):
    """The operand from its end to its start along each axis of `axis`."""

    name: ClassVar[str] = "REVERSE_V2"

    axis: tuple[int, ...] = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if len(set(self.axis)) < len(self.axis) or any(not 0 <= a < x.rank for a in self.axis):
            raise ValueError(f"axes {self.axis} of a tensor of shape {x.shape}")
        return (TensorType(x.shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return 0 not in self.axis

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Only where the axes stay neighbours, which is what runtimes have."""
        axes = sorted(order.index(axis) for axis in self.axis)
        if axes and axes[-1] - axes[0] >= len(axes):
            return None
        moved = ReverseV2(tuple(axes))
        return Permuted(moved, (order,), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.flip(_movement.the_array(arrays), self.axis),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].flip(self.axis)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        x = node.types[0]
        assert x is not None
        axes = node.constant(1, "the axes").ravel().tolist()
        return cls(tuple(int(a) + x.rank if a < 0 else int(a) for a in axes)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("ReverseV2Options", {}, (0, np.array(self.axis, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"bool": 2, "int8": 3, "int16": 3}.get(types.dtype, 1)

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless their order turns."""
        x = _movement.the_operand(types)
        last = x.rank - 1
        if not x.rank or last in self.axis:
            return ()
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            first = draw(st.integers(0, x.rank - 1))
            last = draw(st.integers(first, x.rank - 1))  # runtimes want neighbours
            return Sample(cls(tuple(range(first, last + 1))), (Operand(x),), (x.quant,))

        return draw_sample()
