"""SLICE: a block of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
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
    assert isinstance(op, Slice)
    strides = _movement.strides(x.shape)
    first = sum(t.start * s for t, s in zip(op.positions(x.shape), strides, strict=True))
    return _movement.Walk.over(site.output.shape, strides, _movement.item_bytes(x), first)


@dataclass(frozen=True)
class Slice(_movement.Movement):
    """`size[i]` positions of each axis i from `begin[i]` on; a size of -1 takes all that follow."""

    name: ClassVar[str] = "SLICE"

    begin: tuple[int, ...] = ()
    size: tuple[int, ...] = ()

    def positions(self, shape: tuple[int, ...]) -> list[range]:
        """The positions taken along each axis of a tensor of `shape`."""
        return [
            range(begin, n if size == -1 else begin + size)
            for begin, size, n in zip(self.begin, self.size, shape, strict=True)
        ]

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if not len(self.begin) == len(self.size) == x.rank:
            raise ValueError(f"begin and size must have one entry for each axis of {x}")
        taken = self.positions(x.shape)
        for t, n in zip(taken, x.shape, strict=True):
            if not 0 <= t.start < t.stop <= n:
                raise ValueError(f"positions {t.start} to {t.stop} of an axis of {n}")
        return (TensorType(tuple(map(len, taken)), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return (self.begin[:1], self.size[:1]) == ((0,), (-1,))

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        begin, size = (tuple(ends[axis] for axis in order) for ends in (self.begin, self.size))
        return Permuted(Slice(begin, size), (order,), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        return (x[tuple(slice(t.start, t.stop) for t in self.positions(x.shape))],)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return x[tuple(slice(t.start, t.stop) for t in self.positions(tuple(x.shape)))]

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        x = node.types[0]
        assert x is not None
        begin, size = (
            tuple(int(v) for v in node.constant(i, what).ravel())
            for i, what in ((1, "begin"), (2, "size"))
        )
        if not len(begin) == len(size) == x.rank:
            raise UnsupportedModelError("begin and size have no entry for each axis")
        # What takes all that there is may get another size later.
        ends = zip(begin, size, x.shape, strict=True)
        return cls(begin, tuple(-1 if b + s == n else s for b, s, n in ends)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        tables = [np.array(t, np.int32) for t in (self.begin, self.size)]
        return TfliteOp("SliceOptions", {}, (0, *tables))

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.begin) > 4:
            return 5
        return {"int8": 2, "int16": 4}.get(types.dtype, 1)

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass if all of them are taken; of a sliced axis none may go."""
        x = _movement.the_operand(types)
        last = x.rank - 1
        if not x.rank or (self.begin[last], self.size[last]) != (0, -1):
            return ()
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_axis(draw: st.DrawFn, n: int) -> tuple[int, int]:
            begin = draw(st.one_of(st.just(0), st.integers(0, n - 1)))
            size = draw(st.integers(1, n - begin))
            return begin, -1 if begin + size == n else size

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            axes = [(0, -1), *(draw(draw_axis(n)) for n in x.shape[1:])]
            op = cls(tuple(b for b, _ in axes), tuple(s for _, s in axes))
            return Sample(op, (Operand(x),), (x.quant,))

        return draw_sample()
