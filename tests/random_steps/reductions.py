"""Operators that many elements go into."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ops import Operand, get_op
from tests.random_steps._step import Step, axis_of

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None


def _mean(g: Growth, x: str) -> None:
    rank = g.builder.type(x).rank
    axes = [(rank - 1,), (1,), tuple(range(1, rank))] + [(1, 2)] * 3 * (rank == 4)
    g.node(get_op("MEAN")(axis=g.draw(st.sampled_from(axes)), keep_dims=g.draw(st.booleans())), [x])


def _reduce(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        axes = {axis_of(g, x) for _ in range(g.draw(st.integers(1, 2)))}
        g.node(get_op(name)(tuple(sorted(axes)), g.draw(st.booleans())), [x])

    return grow


def _arg(name: str) -> Callable[[Growth, str], object]:
    return lambda g, x: g.node(get_op(name)(axis_of(g, x)), [x])


STEPS = {
    "MEAN": Step(_mean, (2, 3, 4)),
    **{name: Step(_reduce(name), (2, 3, 4)) for name in ("REDUCE_MAX", "REDUCE_MIN", "SUM")},
    **{name: Step(_arg(name), (2, 3, 4)) for name in ("ARG_MAX", "ARG_MIN")},
}
