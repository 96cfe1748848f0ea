"""Operators that take one number of many."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.frontends.lowering.movement import reshape
from smidgen.frontends.lowering.site import Lowering, Operand


def reduce(
    at: Lowering, op: str, x: Operand, axes: Sequence[int] | None, keep_dims: bool = False
) -> str:
    """MEAN, SUM, REDUCE_MAX, REDUCE_MIN or REDUCE_PROD over some axes; None means all."""
    rank = at.rank(x)
    chosen = range(rank) if axes is None else sorted({at.axis(x, int(a)) for a in axes})
    return at.add(op, [x], axis=tuple(chosen), keep_dims=keep_dims)


def arg(at: Lowering, op: str, x: Operand, axis: int, keep_dims: bool = False) -> str:
    """ARG_MAX or ARG_MIN: the int32 position along an axis, the first of equal ones."""
    place = at.axis(x, axis)
    shape = at.shape(x)
    y = at.add(op, [x], axis=place)
    return reshape(at, y, (*shape[:place], 1, *shape[place + 1 :])) if keep_dims else y
