"""How an operator is added to a graph that grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.random_graphs import Growth


@dataclass(frozen=True)
class Step:
    """What to do, and the ranks and the types of activations that it may be done to."""

    grow: Callable[[Growth, str], object]
    ranks: tuple[int, ...] = (1, 2, 3, 4)
    dtypes: tuple[str, ...] = ("int8", "int16", "float32")


def axis_of(g: Growth, x: str) -> int:
    """An axis of an activation that is not its batch."""
    return g.draw(st.integers(1, g.builder.type(x).rank - 1))
