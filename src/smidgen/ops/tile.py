"""TILE: a tensor repeated along its axes."""

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
    """Each axis is gone along again and again, which takes no stride of its own."""
    x, op = site.input(0), site.op
    assert isinstance(op, Tile)
    sizes = [n for pair in zip(op.multiples, x.shape, strict=True) for n in pair]
    strides = [n for s in _movement.strides(x.shape) for n in (0, s)]
    return _movement.Walk.over(sizes, strides, _movement.item_bytes(x))


@dataclass(frozen=True)
class Tile(_movement.Movement):
    """The operand `multiples[i]` times, one after the other, along each axis i."""

    name: ClassVar[str] = "TILE"
    tflm_dtypes: ClassVar[tuple[str, ...]] = ()

    multiples: tuple[int, ...] = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if len(self.multiples) != x.rank or min(self.multiples, default=1) < 1:
            raise ValueError(f"multiples {self.multiples} are not one for each axis of {x.shape}")
        shape = tuple(n * m for n, m in zip(x.shape, self.multiples, strict=True))
        return (TensorType(shape, x.dtype),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = Tile(tuple(self.multiples[axis] for axis in order))
        return Permuted(moved, (order,), (order,))

    def batchable(self, *types: TensorType | None) -> bool:
        return self.multiples[:1] == (1,)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.tile(_movement.the_array(arrays), self.multiples),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].tile(self.multiples)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(tuple(int(n) for n in node.constant(1, "multiples").ravel())), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("TileOptions", {}, (0, np.array(self.multiples, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels are repeated with all others."""
        x = _movement.the_operand(types)
        if not x.rank:
            return ()
        size, last = x.shape[-1], x.rank - 1
        repeated = AxisRef(-1, last, period=size, tiles=self.multiples[-1])
        return (Coupling(size, (AxisRef(0, last), repeated)),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            multiple = st.sampled_from((1, 1, 2, 3))
            multiples = draw(st.tuples(*[multiple] * x.rank))
            return Sample(cls(multiples), (Operand(x),), (x.quant,))

        return draw_sample()
