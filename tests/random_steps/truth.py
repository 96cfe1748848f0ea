"""Comparisons, what is made of truth values, and what they choose between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import QuantParams
from smidgen.ops import Operand, get_op
from tests.random_steps._step import Step, axis_of

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None

COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")


def _truth(g: Growth, x: str) -> str | None:
    """A truth value for each element of x."""
    type = g.builder.type(x)
    name = g.draw(st.sampled_from([n for n in COMPARISONS if g.fits(n)]))
    other: Name = g.pick(lambda t: t.shape == type.shape)
    if other == x or g.one_in(3):
        other = g.constant(g.rng.normal(0, 1, g.draw(st.sampled_from((type.shape, (1,))))))
    return g.node(get_op(name)(), [x, other])


def _comparison(g: Growth, x: str) -> None:
    """A truth value, perhaps turned around, that chooses between x and something else."""
    if g.room() < 3:
        return
    truth = _truth(g, x)
    if truth is not None and g.one_in(3):
        truth = g.node(get_op("LOGICAL_NOT")(), [truth])
    if truth is None:
        return
    type = g.builder.type(x)
    other: Name = g.pick(lambda t: t.shape == type.shape)
    if other == x:
        other = g.constant(g.rng.normal(0, 1, type.shape[-1:]), type.quant)
    elif isinstance(other, str):
        other = g.at_scale_of(x, other)
    if other is not None:
        g.node(get_op("SELECT_V2")(), [truth, *g.draw(st.permutations((x, other)))])


def _number(g: Growth, truth: str | None) -> None:
    """An int8 number of 0 and 1."""
    if truth is not None and g.room() >= 2:
        real = g.node(get_op("CAST")("float32"), [truth])
        g.node(get_op("QUANTIZE")(), [real], QuantParams.per_tensor(1 / 64, 3))


def _logic(name: str) -> Callable[[Growth, str], object]:
    """Two truth values made one, and that an int8 number of 0 and 1 again."""

    def grow(g: Growth, x: str) -> None:
        if g.room() < 3:
            return
        first, second = _truth(g, x), _truth(g, x)
        if first is None or second is None:
            return
        _number(g, g.node(get_op(name)(), [first, second]))

    return grow


def _all_or_any(name: str) -> Callable[[Growth, str], object]:
    """Truth values reduced, and made an int8 number of 0 and 1."""

    def grow(g: Growth, x: str) -> None:
        if g.room() < 4:
            return
        truth = _truth(g, x)
        if truth is not None:
            axes = {axis_of(g, x) for _ in range(g.draw(st.integers(1, 2)))}
            reduced = g.node(get_op(name)(tuple(sorted(axes)), g.draw(st.booleans())), [truth])
            _number(g, reduced)

    return grow


STEPS = {
    "SELECT_V2": Step(_comparison, dtypes=("int8",)),
    **{name: Step(_logic(name), dtypes=("int8",)) for name in ("LOGICAL_AND", "LOGICAL_OR")},
    **{
        name: Step(_all_or_any(name), (2, 3, 4), ("int8",)) for name in ("REDUCE_ALL", "REDUCE_ANY")
    },
}
