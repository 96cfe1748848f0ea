"""Examples of a hypothesis strategy as a list, the same one in every run.

Where a test is about many examples at once (compiled together, say) it takes them from here; its
messages name the one that fails, which then needs no search for a smaller one.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")


def examples(strategy: st.SearchStrategy[T], count: int, key: str) -> list[T]:
    """Draw examples.

    Args:
        strategy: What to draw.
        count: How many.
        key: Any text; another one gives other examples.

    Returns:
        The examples, the simplest one among them.
    """
    found: list[T] = []

    @seed(zlib.crc32(key.encode()))
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(example: T) -> None:
        found.append(example)

    take()
    assert len(found) == count, f"{len(found)} examples of {count}"
    return found
