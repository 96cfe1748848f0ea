"""Operators that only move elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.site import Array, Lowering, Operand, Pairs

MOST_OPERANDS = 10  # that TensorFlow Lite Micro concatenates at once


def reshape(at: Lowering, x: Operand, shape: Sequence[int]) -> str:
    """The same elements in the same order under another shape; one size may be -1."""
    wanted = [int(d) for d in shape]
    size = math.prod(at.shape(x))
    if wanted.count(-1) == 1:
        known = math.prod(d for d in wanted if d != -1)
        wanted[wanted.index(-1)] = size // known if known else 0
    if tuple(wanted) == at.shape(x):
        return at.value(x)
    return at.add("RESHAPE", [x], new_shape=tuple(wanted))


def flatten(at: Lowering, x: Operand, start: int = 1, end: int = -1) -> str:
    """Axes from `start` to `end`, inclusive, as one."""
    shape = at.shape(x)
    first, last = at.axis(x, start), at.axis(x, end)
    merged = math.prod(shape[first : last + 1])
    return reshape(at, x, (*shape[:first], merged, *shape[last + 1 :]))


def transpose(at: Lowering, x: Operand, perm: Sequence[int]) -> str:
    """Axis `perm[i]` becomes axis i."""
    order = tuple(at.axis(x, int(axis)) for axis in perm)
    return (
        at.value(x) if order == tuple(range(len(order))) else at.add("TRANSPOSE", [x], perm=order)
    )


def move_axis_last(at: Lowering, x: Operand, axis: int) -> tuple[str, tuple[int, ...] | None]:
    """The operand with an axis in last place, and the order that undoes it (None: in place)."""
    rank, axis = at.rank(x), at.axis(x, axis)
    if axis == rank - 1:
        return at.value(x), None
    perm = (*range(axis), *range(axis + 1, rank), axis)
    back = tuple(perm.index(i) for i in range(rank))
    return at.add("TRANSPOSE", [x], perm=perm), back


def concatenate(at: Lowering, operands: Sequence[Operand], axis: int) -> str:
    """The operands one after the other along an axis, a few at a time."""
    if not operands:
        raise UnsupportedModelError("nothing is concatenated")
    parts: list[Operand | None] = list(operands)
    axis = at.axis(operands[0], axis)
    while len(parts) > MOST_OPERANDS:
        groups = (parts[i : i + MOST_OPERANDS] for i in range(0, len(parts), MOST_OPERANDS))
        parts = [g[0] if len(g) == 1 else at.add("CONCATENATION", g, axis=axis) for g in groups]
    return at.add("CONCATENATION", parts, axis=axis)


def stack(at: Lowering, operands: Sequence[Operand], axis: int) -> str:
    """The operands one after the other along a new axis."""
    if not operands:
        raise UnsupportedModelError("nothing is stacked")
    rank = at.rank(operands[0])
    place = axis % (rank + 1)
    shape = at.shape(operands[0])
    wider = (*shape[:place], 1, *shape[place:])
    return concatenate(at, [reshape(at, operand, wider) for operand in operands], place)


def slice_axis(
    at: Lowering, x: Operand, axis: int, begin: int | None, end: int | None, step: int = 1
) -> str:
    """`x[..., begin:end:step, ...]` along one axis, as in Python."""
    axis = at.axis(x, axis)
    shape = at.shape(x)
    places = range(*slice(begin, end, step).indices(shape[axis]))
    if not places:
        raise UnsupportedModelError(f"a slice {begin}:{end}:{step} of {shape} that is empty")
    if places == range(shape[axis]):
        return at.value(x)
    taken = [range(size) for size in shape]
    taken[axis] = places
    return at.add("STRIDED_SLICE", [x], **slice_attributes(shape, taken))


def slice_attributes(
    shape: Sequence[int], taken: Sequence[range], shrink: Sequence[int] = ()
) -> dict[str, Any]:
    """Attributes of a STRIDED_SLICE.

    An axis that is taken whole is left open: a batch may widen it, and pruning may narrow it.

    Args:
        shape: of the operand.
        taken: the positions on each axis, at least one.
        shrink: axes with one position that go.
    """
    whole = [
        places == range(size) and axis not in shrink
        for axis, (places, size) in enumerate(zip(taken, shape, strict=True))
    ]
    ends = [places[-1] + (1 if places.step > 0 else -1) for places in taken]

    def mask(bits: Sequence[bool]) -> int:
        return sum(1 << axis for axis, bit in enumerate(bits) if bit)

    return {
        "begin": tuple(0 if w else places[0] for w, places in zip(whole, taken, strict=True)),
        "end": tuple(0 if w else max(0, end) for w, end in zip(whole, ends, strict=True)),
        "strides": tuple(1 if w else places.step for w, places in zip(whole, taken, strict=True)),
        "begin_mask": mask(whole),
        "end_mask": mask([w or end < 0 for w, end in zip(whole, ends, strict=True)]),
        "shrink_axis_mask": mask([axis in shrink for axis in range(len(whole))]),
    }


def split(at: Lowering, x: Operand, sizes: Sequence[int], axis: int) -> list[str]:
    """Parts of these sizes along an axis."""
    axis = at.axis(x, axis)
    if sum(sizes) != at.shape(x)[axis]:
        raise UnsupportedModelError(f"parts of {list(sizes)} of a tensor of shape {at.shape(x)}")
    ends = np.cumsum(sizes)
    return [
        slice_axis(at, x, axis, int(end) - size, int(end))
        for size, end in zip(sizes, ends, strict=True)
    ]


def gather(at: Lowering, x: Operand, indices: Operand, axis: int = 0) -> str:
    """The positions `indices` of an axis, which the axes of `indices` take the place of.

    Negative constants count from the end.
    """
    axis = at.axis(x, axis)
    if not isinstance(indices, str):
        size = at.shape(x)[axis]
        if indices.size and not (-size <= indices.min() and indices.max() < size):
            raise UnsupportedModelError(f"positions {indices.tolist()!r:.80} of {size}")
        indices = np.where(indices < 0, indices + size, indices).astype(np.int32)
    return at.add("GATHER", [x, indices], axis=axis, batch_dims=0)


def expand(at: Lowering, x: Operand, shape: Sequence[int]) -> str:
    """The operand repeated along its axes of size 1; -1 keeps a size, new axes come in front."""
    old = (*(1,) * (len(shape) - at.rank(x)), *at.shape(x))
    wanted = tuple(o if d == -1 else int(d) for o, d in zip(old, shape, strict=True))
    y = reshape(at, x, old)
    if old == wanted:
        return y
    return at.add("BROADCAST_TO", [y], shape=wanted)


def pad_axes(at: Lowering, x: Operand, pads: Pairs, value: float = 0.0) -> str:
    """A border of one value around every axis, (before, after) each."""
    if not any(map(any, pads)):
        return at.value(x)
    if value == 0:
        return at.add("PAD", [x], paddings=pads)
    constant = np.array([value], at.type(x).dtype)
    return at.add("PADV2", [x, constant], paddings=pads)


def mirror_axes(at: Lowering, x: Operand, pads: Pairs, mode: str) -> str:
    """A border that mirrors the tensor: REFLECT without its edge, SYMMETRIC with it."""
    if not any(map(any, pads)):
        return at.value(x)
    return at.add("MIRROR_PAD", [x], paddings=pads, mode=mode)


def pad(
    at: Lowering, x: Operand, pads: Pairs, *, mode: str = "constant", value: float = 0.0
) -> str:
    """A border around every axis; negative amounts take something off.

    Args:
        at: where.
        x: any tensor.
        pads: (before, after) of each axis.
        mode: "constant", "reflect" (without the edge), "replicate" (the edge) or "circular".
        value: of a constant border.
    """
    shape = at.shape(x)
    y = at.value(x)
    for axis, (before, after) in enumerate(pads):
        if before < 0 or after < 0:
            y = slice_axis(at, y, axis, max(0, -before), shape[axis] - max(0, -after))
    grown = tuple((max(0, before), max(0, after)) for before, after in pads)
    if not any(map(any, grown)):
        return y
    if mode == "constant":
        return pad_axes(at, y, grown, value)
    return _pad_by_itself(at, y, grown, mode)


def _pad_by_itself(at: Lowering, x: str, pads: Pairs, mode: str) -> str:
    """A border made of the tensor's own elements."""
    shape = at.shape(x)
    if mode == "reflect" and all(
        max(amounts) < size for amounts, size in zip(pads, shape, strict=True) if any(amounts)
    ):
        return mirror_axes(at, x, pads, "REFLECT")
    # A mirror image that is one element wide is the edge.
    if mode == "replicate" and max(map(max, pads)) == 1:
        return mirror_axes(at, x, pads, "SYMMETRIC")
    if mode not in ("replicate", "circular"):
        raise UnsupportedModelError(f"padding of {pads} by {mode!r} of a tensor of shape {shape}")
    for axis, (before, after) in enumerate(pads):
        if before or after:
            size = shape[axis]
            places: Array = np.arange(-before, size + after)
            places = places.clip(0, size - 1) if mode == "replicate" else places % size
            x = gather(at, x, places.astype(np.int32), axis)
    return x
