"""Exact search for the smallest arena.

Buffers are placed from the bottom of the arena upwards: each next one lies no lower than the one
before it, at the lowest offset its placed conflicts allow. Every plan that cannot be pushed down is
reached by placing its buffers in the order of their offsets, so nothing is missed; for the same
reason a buffer that may overlap (the output) counts as *below* the one it overlaps.

Three rules cut the tree, and each only drops a branch when another one is at least as good:

- *bound*: in some step the buffers left to place cannot end under the best peak known;
- *gap*: placing ``b`` above an offset where another buffer would fit entirely beneath it; placing
  that one first pushes nothing up;
- *memory*: the same buffers were placed before, to a peak no higher, and left no buffer a higher
  lowest offset.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from smidgen.backends.c._placement import Placement

_MOST_MEMORIES = 100_000
_MOST_PER_SET = 8


class OutOfWorkError(Exception):
    """The search has used up its work or its time."""


class Work:
    """A budget of search effort, the same on every machine, with a time limit as a safety net.

    Args:
        units: How many buffers may be looked at.
        deadline: A reading of `time.monotonic` not to go past.
    """

    def __init__(self, units: int, deadline: float) -> None:
        self.units = units
        self.deadline = deadline

    def spend(self, units: int) -> None:
        """Use up ``units``.

        Raises:
            OutOfWorkError: The budget or the time is used up.
        """
        self.units -= units
        if self.units < 0 or time.monotonic() > self.deadline:
            raise OutOfWorkError


class BranchAndBound:
    """A search of one problem for a peak below a known one.

    Args:
        problem: What to place.
        upper: A peak that is already known to be possible, in units.
        lower: Stop as soon as a peak this low is found.
        work: The budget.

    Attributes:
        upper: The least peak known.
        offset: The offsets that reach it, or None while none better than the given one is found.
    """

    def __init__(self, problem: Placement, upper: int, lower: int, work: Work) -> None:
        self.problem = problem
        self.upper = upper
        self.lower = lower
        self.work = work
        self.offset: list[int] | None = None
        self._placed: list[int] = [-1] * len(problem)
        self._memory: dict[int, list[tuple[int, ...]]] = {}
        self._memories = 0
        # Larger first among buffers that could go at the same offset: they are harder to place.
        self._rank = sorted(
            range(len(problem)),
            key=lambda i: (-problem.size[i] * (problem.end[i] - problem.start[i]), i),
        )
        self._steps = [
            (live, {out: _Saving(problem, out, sources) for out, sources in savings.items()})
            for live, savings in _hardest(problem)
        ]

    def run(self) -> None:
        """Search to the end: afterwards ``upper`` is the optimum, or at most ``lower``.

        Raises:
            OutOfWorkError: The budget ended first; ``upper`` and ``offset`` are the best so far.
        """
        if self.upper > self.lower:
            self._visit([0] * len(self.problem), 0, 0, 0)

    def _visit(self, lowest: list[int], placed: int, level: int, peak: int) -> None:
        """Place the rest.

        Args:
            lowest: The lowest offset of each buffer over those it conflicts with.
            placed: The bit set of the buffers placed.
            level: The offset of the last one placed.
            peak: The end of the highest one placed.
        """
        problem, size = self.problem, self.problem.size
        left = [i for i in self._rank if not placed >> i & 1]
        if not left:
            self.upper = peak
            self.offset = self._placed.copy()
            return
        self.work.spend(len(left))
        for i in left:
            if lowest[i] < level:
                align = problem.align[i]
                lowest[i] = level if align == 1 else -(-level // align) * align
        state = (peak, *[lowest[i] for i in left])
        if self._bounded(lowest, placed, left) or self._remembered(placed, state):
            return
        ceiling = min(lowest[i] + size[i] for i in left)
        for b in sorted((i for i in left if lowest[i] < ceiling), key=lowest.__getitem__):
            place = lowest[b]
            end = max(peak, place + size[b])
            if end >= self.upper:
                return  # a better peak was found meanwhile, and b can only go higher than here
            below = lowest.copy()
            for other, distance in problem.above[b].items():
                if below[other] < place + distance:
                    align = problem.align[other]
                    below[other] = -(-(place + distance) // align) * align
            self._placed[b] = place
            self._visit(below, placed | 1 << b, place, end)
            if self.upper <= self.lower:
                return

    def _bounded(self, lowest: list[int], placed: int, left: list[int]) -> bool:
        """Return whether the buffers left cannot all end below the best peak."""
        size, upper = self.problem.size, self.upper
        for i in left:
            if lowest[i] + size[i] >= upper:
                return True
        units = 0
        cut = False
        for at, (live, savings) in enumerate(self._steps):
            queue = [
                (lowest[i], size[i] - savings[i].units(placed) if i in savings else size[i])
                for i in live
                if not placed >> i & 1
            ]
            units += len(queue)
            queue.sort()
            reach = 0
            for start, need in queue:
                reach = max(reach, start) + need
            if reach >= upper:
                # What cut this branch is likely to cut the next: look there first.
                self._steps.insert(0, self._steps.pop(at))
                cut = True
                break
        self.work.spend(units)
        return cut

    def _remembered(self, placed: int, state: tuple[int, ...]) -> bool:
        """Return whether a state at least as good was searched before; remember this one."""
        known = self._memory.get(placed)
        if known is None:
            known = self._memory[placed] = []
        for other in known:
            if all(map(int.__le__, other, state)):
                return True
        if len(known) < _MOST_PER_SET and self._memories < _MOST_MEMORIES:
            known.append(state)
            self._memories += 1
        return False


class _Saving:
    """How much an output can share with those of its inputs that are not placed yet."""

    def __init__(self, problem: Placement, out: int, sources: list[tuple[int, int]]) -> None:
        self._problem, self._out, self._sources = problem, out, sources
        self._mask = sum(1 << i for i, _ in sources)
        self._known: dict[int, int] = {}

    def units(self, placed: int) -> int:
        """Return the most units shared with inputs outside the bit set ``placed``."""
        key = placed & self._mask
        if key not in self._known:
            free = [source for source in self._sources if not key >> source[0] & 1]
            self._known[key] = self._problem.saved(self._out, free)
        return self._known[key]


def _hardest(
    problem: Placement,
) -> list[tuple[list[int], dict[int, list[tuple[int, int]]]]]:
    """Return (live buffers, savings) of the steps that can bound anything, the fullest first."""
    steps = [(live, problem.savings(step)) for step, live in problem.live_sets().items()]
    kept = [
        (live, savings)
        for at, (live, savings) in enumerate(steps)
        if savings
        or not any(
            set(live) < set(other) or (at > earlier and set(live) == set(other))
            for earlier, (other, spared) in enumerate(steps)
            if not spared
        )
    ]
    return sorted(kept, key=lambda item: -sum(problem.size[i] for i in item[0]))


def least_peak(
    problem: Placement, upper: int, lower: int, work: Work
) -> tuple[Sequence[int] | None, bool]:
    """Search ``problem`` for a peak below ``upper``.

    Args:
        problem: What to place.
        upper: A peak known to be possible, in units.
        lower: A peak known not to be beaten.
        work: The budget.

    Returns:
        The offsets of a better plan or None, and whether the search came to its end: if it did,
        no plan is better than the one returned, or than ``upper`` when None is.
    """
    search = BranchAndBound(problem, upper, lower, work)
    try:
        search.run()
    except OutOfWorkError:
        return search.offset, False
    return search.offset, True
