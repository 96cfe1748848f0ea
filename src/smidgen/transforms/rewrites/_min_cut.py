"""The cheapest way to cut a network in two, by augmenting paths (Edmonds and Karp, 1972)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable


class MinCut:
    """Two-way choices with costs: each item is on the left or on the right.

    Example:
        >>> cut = MinCut()
        >>> cut.prefer("a", 5)  # five dearer on the left
        >>> cut.pair("a", "b", 3)  # three if a is on the left and b on the right
        >>> cut.prefer("b", -4)  # four dearer on the right
        >>> sorted(cut.right())
        ['a']
    """

    def __init__(self) -> None:
        self._room: dict[Hashable, dict[Hashable, int]] = defaultdict(lambda: defaultdict(int))

    def prefer(self, item: Hashable, cost: int) -> None:
        """Add to the cost of having an item on the left (or, if negative, on the right)."""
        if cost > 0:
            self.pair(item, _RIGHT, cost)
        else:
            self.pair(_LEFT, item, -cost)

    def pair(self, left: Hashable, right: Hashable, cost: int) -> None:
        """Add to the cost of having one item on the left and the other on the right."""
        self._room[left][right] += cost
        self._room[right][left] += 0

    def right(self) -> set[Hashable]:
        """The items on the right in the cheapest choice; left where both cost the same."""
        while True:
            reached = self._flood()
            if _RIGHT not in reached:
                break
            path: list[Hashable] = [_RIGHT]
            while path[-1] is not _LEFT:
                path.append(reached[path[-1]])
            steps = list(zip(path[1:], path, strict=False))
            flow = min(self._room[a][b] for a, b in steps)
            for a, b in steps:
                self._room[a][b] -= flow
                self._room[b][a] += flow
        return self._behind()

    def _flood(self) -> dict[Hashable, Hashable]:
        """What can still be reached from the left, each with where it was reached from."""
        reached: dict[Hashable, Hashable] = {_LEFT: _LEFT}
        queue: deque[Hashable] = deque([_LEFT])
        while queue and _RIGHT not in reached:
            item = queue.popleft()
            for other, room in self._room[item].items():
                if room and other not in reached:
                    reached[other] = item
                    queue.append(other)
        return reached

    def _behind(self) -> set[Hashable]:
        """What still reaches the right."""
        found: set[Hashable] = {_RIGHT}
        queue: deque[Hashable] = deque(found)
        while queue:
            item = queue.popleft()
            for other in self._room[item]:
                if other not in found and self._room[other][item]:
                    found.add(other)
                    queue.append(other)
        return found - {_RIGHT}


class _End:
    """One of the two ends, unlike any item."""


_LEFT, _RIGHT = _End(), _End()
