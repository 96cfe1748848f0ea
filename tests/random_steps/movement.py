"""Operators that move elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import TensorType
from smidgen.ops import Operand, get_op
from tests.random_steps._step import Step, axis_of

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None


def _reshape(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    shapes = [(1, type.size), (1, type.size // type.shape[-1], type.shape[-1])]
    if type.rank < 4 and type.size % 4 == 0:
        shapes += [(1, 2, 2, type.size // 4)] * 2
    g.node(get_op("RESHAPE")(g.draw(st.sampled_from(shapes))), [x])


def _paddings(g: Growth, x: str) -> tuple[tuple[int, int], ...]:
    rank = g.builder.type(x).rank
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    last = g.draw(pair) if rank == 2 or g.one_in(4) else (0, 0)
    return ((0, 0), *(g.draw(pair) for _ in range(rank - 2)), last)[:rank]


def _pad_with_value(g: Growth, x: str) -> None:
    value = g.constant(g.rng.normal(0, 1, (1,)), g.builder.type(x).quant)
    g.node(get_op("PADV2")(_paddings(g, x)), [x, value])


def _concatenation(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    axis = g.draw(st.sampled_from((len(shape) - 1, len(shape) - 1, *range(1, len(shape)))))

    def fits(type: TensorType) -> bool:
        return len(type.shape) == len(shape) and all(
            a == b for d, (a, b) in enumerate(zip(type.shape, shape, strict=True)) if d != axis
        )

    others = [g.pick(fits) for _ in range(g.draw(st.integers(1, 2)))]
    operands = [g.at_scale_of(x, other) for other in others if other is not None]
    operands.insert(g.draw(st.integers(0, len(operands))), x)
    if None not in operands:
        g.node(get_op("CONCATENATION")(axis), operands)


def _slice(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    begin, end, strides, shrink = [0], [0], [1], 0
    for axis, size in enumerate(shape[1:], 1):
        first, last = sorted(g.draw(st.tuples(*[st.integers(0, size - 1)] * 2)))
        stride = g.draw(st.sampled_from((1, 1, 1, 2, -1)))
        begin.append(first if stride > 0 else last)
        end.append(last + 1 if stride > 0 else first - 1 if first else -size - 1)
        strides.append(stride)
        if axis < len(shape) - 1 and stride == 1 and g.one_in(6):
            shrink |= 1 << axis
    whole = sum(1 << i for i in range(1, len(shape)) if g.draw(st.booleans())) & ~shrink
    op = get_op("STRIDED_SLICE")(
        tuple(begin), tuple(end), tuple(strides), 1 | whole, 1 | whole, shrink
    )
    g.node(op, [x])


def _transpose(g: Growth, x: str) -> None:
    order = g.draw(st.permutations(range(1, g.builder.type(x).rank)))
    g.node(get_op("TRANSPOSE")((0, *order)), [x])


def _squeeze(g: Growth, x: str) -> None:
    ones = [i for i, n in enumerate(g.builder.type(x).shape) if n == 1 and i]
    if ones:
        g.node(get_op("SQUEEZE")((g.draw(st.sampled_from(ones)),)), [x])


def _split(g: Growth, x: str) -> None:
    axis = axis_of(g, x)
    size = g.builder.type(x).shape[axis]
    parts = [n for n in (2, 3, 4) if size % n == 0]
    if parts:
        g.node(get_op("SPLIT")(g.draw(st.sampled_from(parts)), axis), [x])


def _split_v(g: Growth, x: str) -> None:
    axis = axis_of(g, x)
    size = g.builder.type(x).shape[axis]
    if size > 1:
        first = g.draw(st.integers(1, size - 1))
        g.node(get_op("SPLIT_V")((first, size - first), axis), [x])


def _unpack(g: Growth, x: str) -> None:
    few = [i for i, n in enumerate(g.builder.type(x).shape) if i and n <= 4]
    if few:
        axis = g.draw(st.sampled_from(few))
        g.node(get_op("UNPACK")(g.builder.type(x).shape[axis], axis), [x])


def _pack(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    other = g.pick(lambda t: t.shape == type.shape)
    other = x if other is None else g.at_scale_of(x, other)
    if other is not None:
        g.node(get_op("PACK")(g.draw(st.integers(1, type.rank))), [x, other])


def _slice_simple(g: Growth, x: str) -> None:
    begin, size = [0], [-1]
    for n in g.builder.type(x).shape[1:]:
        first = g.draw(st.integers(0, n - 1))
        begin.append(first)
        size.append(g.draw(st.sampled_from((-1, n - first, 1))))
    g.node(get_op("SLICE")(tuple(begin), tuple(size)), [x])


def _gather(g: Growth, x: str) -> None:
    axis = axis_of(g, x)
    count = g.draw(st.integers(1, 5))
    where = g.rng.integers(0, g.builder.type(x).shape[axis], count).astype(np.int32)
    g.node(get_op("GATHER")(axis), [x, Operand(TensorType((count,), "int32"), where)])


def _tile(g: Growth, x: str) -> None:
    rank = g.builder.type(x).rank
    times = [1, *(g.draw(st.sampled_from((1, 1, 2))) for _ in range(rank - 1))]
    g.node(get_op("TILE")(tuple(times)), [x])


def _broadcast_to(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    wide = [n if n > 1 or i == 0 else g.draw(st.integers(1, 4)) for i, n in enumerate(shape)]
    g.node(get_op("BROADCAST_TO")(tuple(wide)), [x])


def _mirror_pad(g: Growth, x: str) -> None:
    mode = g.draw(st.sampled_from(("REFLECT", "SYMMETRIC")))
    most = [max(0, min(2, n - (mode == "REFLECT"))) for n in g.builder.type(x).shape[1:]]
    pads = [(g.draw(st.integers(0, m)), g.draw(st.integers(0, m))) for m in most]
    g.node(get_op("MIRROR_PAD")(((0, 0), *pads), mode), [x])


def _reverse(g: Growth, x: str) -> None:
    g.node(get_op("REVERSE_V2")((axis_of(g, x),)), [x])


def _simple(name: str, *attributes: Any) -> Callable[[Growth, str], object]:
    return lambda g, x: g.node(get_op(name)(*attributes), [x])


def _through_batches(g: Growth, x: str) -> None:
    """Into blocks, perhaps through a function of each element, and back without other borders."""
    type = g.builder.type(x)
    if g.room() < 3:
        return
    blocks = tuple(g.draw(st.integers(1, 2)) for _ in type.shape[1:-1])
    # TFLM's border is the number 0, which stands for something else.
    wide = g.runtime != "tflm" or type.quant is None or type.quant.zero_point == 0
    pads, crops = [], []
    for n, block in zip(type.shape[1:-1], blocks, strict=True):
        before = g.draw(st.integers(0, 2)) if wide else 0
        after = -(n + before) % block
        if after and not wide:
            return
        pads.append((before, after))
        most = n + before + after - 1
        crop = g.draw(st.integers(0, min(2, most)))
        crops.append((crop, g.draw(st.integers(0, min(2, most - crop)))))
    split = g.node(get_op("SPACE_TO_BATCH_ND")(blocks, tuple(pads)), [x], batches=True)
    if split is None:
        return
    if g.one_in(2):
        between = get_op("RELU6" if g.dtype == "int16" else "HARD_SWISH")()
        split = g.node(between, [split], batches=True) or split
    g.node(get_op("BATCH_TO_SPACE_ND")(blocks, tuple(crops)), [split], batches=True)


STEPS = {
    "RESHAPE": Step(_reshape, (2, 3, 4)),
    "PAD": Step(lambda g, x: g.node(get_op("PAD")(_paddings(g, x)), [x]), (2, 3, 4)),
    "PADV2": Step(_pad_with_value, (2, 3, 4)),
    "CONCATENATION": Step(_concatenation, (2, 3, 4)),
    "STRIDED_SLICE": Step(_slice, (2, 3, 4)),
    "TRANSPOSE": Step(_transpose, (2, 3, 4)),
    "SPLIT": Step(_split, (2, 3, 4)),
    "SPLIT_V": Step(_split_v, (2, 3, 4)),
    "UNPACK": Step(_unpack, (3, 4)),
    "PACK": Step(_pack, (2, 3)),
    "SLICE": Step(_slice_simple, (2, 3, 4)),
    "GATHER": Step(_gather, (2, 3, 4)),
    "EXPAND_DIMS": Step(lambda g, x: g.node(get_op("EXPAND_DIMS")(axis_of(g, x)), [x]), (2, 3)),
    "SQUEEZE": Step(_squeeze, (3, 4)),
    "TILE": Step(_tile, (2, 3, 4)),
    "BROADCAST_TO": Step(_broadcast_to, (2, 3, 4)),
    "MIRROR_PAD": Step(_mirror_pad, (2, 3, 4)),
    "REVERSE_V2": Step(_reverse, (2, 3, 4)),
    "DEPTH_TO_SPACE": Step(_simple("DEPTH_TO_SPACE", 2), (4,)),
    "SPACE_TO_DEPTH": Step(_simple("SPACE_TO_DEPTH", 2), (4,)),
    "SPACE_TO_BATCH_ND": Step(_through_batches, (3, 4)),
}
