"""STRIDED_SLICE: every n-th element between a begin and an end, along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._order import Order, Permuted, without

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Axis:
    """One axis of a slice; None is an end that is left open."""

    begin: int | None = None
    end: int | None = None
    stride: int = 1
    shrink: bool = False

    def positions(self, size: int) -> range:
        """The positions taken from an axis of `size`."""
        if self.stride == 0:
            raise ValueError("a stride is 0")
        taken = range(*slice(self.begin, self.end, self.stride).indices(size))
        if not self.shrink:
            return taken
        start = slice(self.begin, None, self.stride).indices(size)[0]
        if not 0 <= start < size:
            raise ValueError(f"position {self.begin} does not exist on an axis of {size}")
        return range(start, start + 1)

    def opened(self, size: int) -> _Axis:
        """The same; a whole axis is left open, so that it may get another size later."""
        whole = not self.shrink and self.positions(size) == range(size)
        return _Axis() if whole else self


def _walk(site: Site) -> _movement.Walk:
    op, x = site.op, site.input(0)
    assert isinstance(op, StridedSlice)
    taken = op.positions(x.shape)
    strides = _movement.strides(x.shape)
    return _movement.Walk.over(
        [len(t) for t in taken],
        [t.step * s for t, s in zip(taken, strides, strict=True)],
        _movement.item_bytes(x),
        first=sum(t.start * s for t, s in zip(taken, strides, strict=True)),
    )


@dataclass(frozen=True)
class StridedSlice(_movement.Movement):
    """`x[begin:end:strides]`, one of each for every axis of the operand.

    Bit i of `begin_mask` or `end_mask` leaves axis i open at that end, whatever begin or end say;
    bit i of `shrink_axis_mask` takes the single position `begin[i]` and drops the axis.
    """

    name: ClassVar[str] = "STRIDED_SLICE"

    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    begin_mask: int = 0
    end_mask: int = 0
    shrink_axis_mask: int = 0

    @classmethod
    def _of(cls, axes: list[_Axis]) -> StridedSlice:
        def mask(bits: list[bool]) -> int:
            return sum(1 << i for i, bit in enumerate(bits) if bit)

        return cls(
            tuple(a.begin or 0 for a in axes),
            tuple(a.end or 0 for a in axes),
            tuple(a.stride for a in axes),
            mask([a.begin is None for a in axes]),
            mask([a.end is None for a in axes]),
            mask([a.shrink for a in axes]),
        )

    def _axes(self) -> list[_Axis]:
        return [
            _Axis(
                None if self.begin_mask >> i & 1 else begin,
                None if self.end_mask >> i & 1 else end,
                stride,
                bool(self.shrink_axis_mask >> i & 1),
            )
            for i, (begin, end, stride) in enumerate(
                zip(self.begin, self.end, self.strides, strict=True)
            )
        ]

    def positions(self, shape: tuple[int, ...]) -> list[range]:
        """The positions taken along each axis of a tensor of `shape`."""
        return [a.positions(size) for a, size in zip(self._axes(), shape, strict=True)]

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if {len(self.begin), len(self.end), len(self.strides)} != {x.rank}:
            raise ValueError(f"begin, end and strides must have one entry for each axis of {x}")
        taken = self.positions(x.shape)
        if not all(taken):
            raise ValueError(f"the slice of {x.shape} is empty")
        shape = tuple(len(t) for a, t in zip(self._axes(), taken, strict=True) if not a.shrink)
        return (TensorType(shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self._axes()[:1] == [_Axis()]

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        axes = self._axes()
        left = without(order, [i for i, axis in enumerate(axes) if axis.shrink])
        return Permuted(self._of([axes[i] for i in order]), (order,), (left,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        index = [
            a.positions(size).start if a.shrink else slice(a.begin, a.end, a.stride)
            for a, size in zip(self._axes(), x.shape, strict=True)
        ]
        return (x[tuple(index)],)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        (x,) = tensors
        taken = [a.positions(size) for a, size in zip(self._axes(), x.shape, strict=True)]
        for axis in reversed(range(x.dim())):
            if self._axes()[axis].shrink:
                x = x.select(axis, taken[axis].start)
            elif taken[axis] != range(x.shape[axis]):
                x = x.index_select(axis, torch.as_tensor(list(taken[axis]), device=x.device))
        return x

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o, x = node.options, node.types[0]
        assert x is not None
        if o["new_axis_mask"]:
            raise UnsupportedModelError("it adds an axis", hint="export that as a reshape")
        if o["offset"]:
            raise UnsupportedModelError("its ends count from the begins", hint="export them as is")
        begin, end, strides = (
            tuple(int(v) for v in node.constant(i, what).ravel())
            for i, what in ((1, "begin"), (2, "end"), (3, "strides"))
        )
        if not len(begin) == len(end) == len(strides):
            raise UnsupportedModelError("begin, end and strides have different lengths")
        masks = (o["begin_mask"], o["end_mask"], o["shrink_axis_mask"])
        given = cls(begin, end, strides, *masks)._axes()
        # An ellipsis stands for as many whole axes as there are too few; without one they follow.
        ellipsis = o["ellipsis_mask"]
        at = (ellipsis & -ellipsis).bit_length() - 1 if ellipsis else len(given)
        rest = given[at + 1 :]
        axes = given[:at] + [_Axis()] * (x.rank - at - len(rest)) + rest
        if len(axes) != x.rank:
            raise UnsupportedModelError(f"{len(axes)} axes are sliced of the {x.rank} of {x}")
        return cls._of([*map(_Axis.opened, axes, x.shape)]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "begin_mask": self.begin_mask,
            "end_mask": self.end_mask,
            "shrink_axis_mask": self.shrink_axis_mask,
        }
        tables = [np.array(t, np.int32) for t in (self.begin, self.end, self.strides)]
        return TfliteOp("StridedSliceOptions", fields, (0, *tables))

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.begin) > 4:
            return 4
        return {"bool": 3, "int8": 2}.get(types.dtype, 1)

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass if all of them are taken; of a sliced axis none may go."""
        x = _movement.the_operand(types)
        if not x.rank or self._axes()[-1] != _Axis():
            return ()
        last = self.infer(x)[0].rank - 1
        return (Coupling(x.shape[-1], (AxisRef(0, x.rank - 1), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_axis(draw: st.DrawFn, size: int) -> _Axis:
            kind = draw(st.sampled_from(("open", "open", "between", "strided", "shrink")))
            if kind == "open":
                return _Axis()
            first, last = sorted(draw(st.tuples(*[st.integers(0, size - 1)] * 2)))
            sign = draw(st.sampled_from((0, -size)))  # positions counted from the end, too
            if kind == "shrink":
                return _Axis(first + sign, first + sign + 1 or size, shrink=True)
            if kind == "between":
                return _Axis(first + sign, draw(st.sampled_from((last + 1, size + 3))))
            stride = draw(st.sampled_from((2, 3, -1, -2)))
            if stride > 0:
                return _Axis(draw(st.sampled_from((None, first))), last + 1, stride)
            before = first - 1 if first else None
            return _Axis(draw(st.sampled_from((None, last + sign))), before, stride)

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(), "int16"))
            axes = [draw(draw_axis(size)).opened(size) for size in x.shape[1:]]
            return Sample(cls._of([_Axis(), *axes]), (Operand(x),), (x.quant,))

        return draw_sample()
