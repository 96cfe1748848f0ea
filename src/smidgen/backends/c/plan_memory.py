"""Static memory planning: give every buffer a fixed offset, in as small an arena as possible.

Three stages, any of which may end the job by meeting the lower bound:

1. the lower bound: in every step the live buffers need their bytes, less what overlaps can save;
2. a heuristic: place buffers one by one at the lowest offset that is free, in many orders, moving
   what ends at the peak to the front of the order and trying again;
3. branch and bound on a window of steps around the peak, which grows until it is the whole problem.
   A window's optimum is a lower bound for the whole, and its order a good start for the heuristic.

Work is counted in steps of the search rather than in seconds, so that the same problem gives the
same plan on every machine; the time limit is a safety net. Nothing here checks the result: that is
`validate_plan`, which shares no code with this module.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from smidgen.backends.c._branch_and_bound import OutOfWorkError, Work, least_peak
from smidgen.backends.c._placement import Placement
from smidgen.backends.c.memory_problem import MemoryPlan, MemoryProblem

_HEURISTIC_SHARE = 0.3
_CLIMBS = 3
_PATIENCE = 400  # moves tried from each start
_SMALL_RADIUS = 4  # starting steps around the peak that are searched first of all
_LARGEST_WINDOW = 250  # buffers; the search recurses once a buffer


def plan_memory(
    problem: MemoryProblem, *, effort: int = 4_000_000, time_limit: float = 30.0
) -> MemoryPlan:
    """Place the buffers of ``problem`` in as small an arena as can be found.

    Args:
        problem: Buffers, their lifespans and their overlaps.
        effort: How many buffers the search may look at; the default is about 3 seconds.
        time_limit: Seconds after which to stop even so. A plan that was cut short by time may
            differ from one run to the next; one cut short by effort does not.

    Returns:
        The plan. It is optimal when its arena meets the lower bound; else `MemoryPlan.gap` says
        how far apart the two are.

    Example:
        >>> from smidgen.backends.c.memory_problem import Buffer, Overlap
        >>> x, y = Buffer("x", 64, 0, 1), Buffer("y", 64, 0, 2)
        >>> plan_memory(MemoryProblem((x, y))).arena_bytes
        128
        >>> plan_memory(MemoryProblem((x, y), overlaps=(Overlap("x", "y", lead=16),))).offsets
        {'x': 16, 'y': 0}
    """
    if not problem.buffers:
        return MemoryPlan({}, 0, 0, optimal=True)
    unit = min(b.alignment for b in problem.buffers)
    solver = _Solver(Placement.of(problem, unit), effort, time.monotonic() + time_limit)
    solver.solve()
    offsets = {b.name: x * unit for b, x in zip(problem.buffers, solver.offset, strict=True)}
    return MemoryPlan(
        offsets, solver.upper * unit, solver.lower * unit, solver.upper == solver.lower
    )


class _Solver:
    """The state of one run: the best plan known and the bound it is measured against, in units."""

    def __init__(self, problem: Placement, effort: int, deadline: float) -> None:
        self.problem = problem
        self.lower = problem.lower_bound()
        self.offset = problem.first_fit(range(len(problem)))
        self.upper = problem.peak(self.offset)
        share = int(effort * _HEURISTIC_SHARE)
        self._quick, self._exact = Work(share, deadline), Work(effort - share, deadline)
        self._chance = random.Random(0)  # a fixed seed: the same problem gets the same plan

    def solve(self) -> None:
        """Run the stages until the plan is proven optimal or the effort is used up."""
        radius: dict[int, int] = {}
        try:
            orders = _orders(self.problem)
            orders.sort(key=lambda order: self.problem.peak(self._try(order)))
            self._search(radius, _SMALL_RADIUS)  # often settles it, and takes no time
            for order in orders[:_CLIMBS]:
                self._climb(order)
        except OutOfWorkError:
            pass
        self._search(radius, len(self.problem.live_sets()) * 2)

    def _search(self, radius: dict[int, int], most: int) -> None:
        """Settle windows around the peak, each twice as wide as the last there, up to `most`."""
        while self.upper > self.lower:
            centre = self._peak_step()
            if 2 * radius.get(centre, 1) > most:
                return
            radius[centre] = 2 * radius.get(centre, 1)
            if not self._settle(self._window(centre, radius[centre])):
                return

    def _try(self, order: Sequence[int]) -> list[int]:
        """Place in ``order``, keep the plan if it is the best, and return its offsets."""
        self._quick.spend(2 * len(order))
        offset = self.problem.first_fit(order)
        peak = self.problem.peak(offset)
        if peak < self.upper:
            self.offset, self.upper = offset, peak
        return offset

    def _climb(self, order: list[int]) -> None:
        """Better an order, one move at a time, until the lower bound or the end of patience."""
        problem, chance = self.problem, self._chance
        offset = self._try(order)
        peak = problem.peak(offset)
        for _ in range(_PATIENCE):
            if self.upper == self.lower:
                return
            moved = order.copy()
            if chance.random() < 0.5:  # place something at the peak earlier
                highest = [i for i, x in enumerate(offset) if x + problem.size[i] == peak]
                i = chance.choice(highest)
                moved.remove(i)
                moved.insert(chance.randrange(order.index(i) + 1), i)
            else:
                i, j = chance.randrange(len(order)), chance.randrange(len(order))
                moved[i], moved[j] = moved[j], moved[i]
            trial = self._try(moved)
            if problem.peak(trial) <= peak:
                order, offset, peak = moved, trial, problem.peak(trial)

    def _peak_step(self) -> int:
        """Return the step that needs most among those in which a buffer ends at the peak."""
        problem = self.problem
        highest = {i for i, x in enumerate(self.offset) if x + problem.size[i] == self.upper}
        needs = {
            step: problem.least(step, live)
            for step, live in problem.live_sets().items()
            if highest & set(live)
        }
        return max(needs, key=lambda step: (needs[step], -step))

    def _window(self, centre: int, radius: int) -> list[int]:
        """Return the buffers that live within ``radius`` starting steps of ``centre``."""
        steps = sorted(self.problem.live_sets())
        at = steps.index(centre)
        first, last = steps[max(0, at - radius)], steps[min(len(steps) - 1, at + radius)]
        problem = self.problem
        return [
            i for i in range(len(problem)) if problem.start[i] <= last and problem.end[i] > first
        ]

    def _settle(self, window: list[int]) -> bool:
        """Solve the buffers of ``window`` exactly, and use what that teaches about the whole.

        Returns:
            Whether the search came to its end and a larger window is worth trying.
        """
        part = self.problem.restrict(window)
        order = sorted(range(len(part)), key=lambda i: (self.offset[window[i]], i))
        offset = part.first_fit(order)
        if len(part) > _LARGEST_WINDOW:
            return False
        better, complete = least_peak(part, part.peak(offset), self.lower, self._exact)
        offset = list(better or offset)
        if complete:
            self.lower = max(self.lower, part.peak(offset))
        if len(part) == len(self.problem):
            if part.peak(offset) < self.upper:
                self.offset = [offset[window.index(i)] for i in range(len(window))]
                self.upper = part.peak(offset)
            return False
        first = [window[i] for i in sorted(range(len(part)), key=lambda i: (offset[i], i))]
        inside = set(window)
        orders = [sorted(range(len(self.problem)), key=self.offset.__getitem__)]
        try:
            for rest in orders + _orders(self.problem):
                self._try(first + [i for i in rest if i not in inside])
        except OutOfWorkError:
            pass
        return complete


def _orders(problem: Placement) -> list[list[int]]:
    """Return the orders that tend to place well: large, long-lived, crowded, late, early."""
    size, start, end = problem.size, problem.start, problem.end
    crowd = [sum(size[j] for j in problem.above[i]) for i in range(len(problem))]
    life = [e - s for s, e in zip(start, end, strict=True)]
    keys: list[Callable[[int], tuple[int, ...]]] = [
        lambda i: (-size[i], -life[i], i),
        lambda i: (-size[i] * life[i], i),
        lambda i: (-life[i], -size[i], i),
        lambda i: (-crowd[i] - size[i], -size[i], i),
        lambda i: (-end[i], -start[i], -size[i], i),
        lambda i: (start[i], -size[i], i),
    ]
    return [sorted(range(len(problem)), key=key) for key in keys]
