"""A memory planning problem as the solver sees it: numbered buffers and distances between them.

Offsets and sizes are counted in *units*, the smallest alignment of the problem; rounding sizes up
to units loses nothing, since every offset is a whole number of units. What may not share bytes is a
set of *conflicts*, and for each conflict there is a distance in either direction:

    above[a][b]: the least offset[b] - offset[a] when b lies above a

It is a's size as a rule, and only the lead when ``a`` may be written over ``b``. Any set of offsets
that respects, for every conflict, one of the two directions is a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smidgen.backends.c.memory_problem import MemoryProblem


class Placement:
    """Numbered buffers with their conflicts and distances.

    Args:
        size: Units each buffer takes.
        align: Each offset is a multiple of this many units.
        start: First step of each lifespan.
        end: One past the last step of each lifespan.
        above: ``above[a][b]`` as the module describes; its keys are the conflicts of ``a``.
        overlaps: (output, input, distance) of each pair that may overlap.
    """

    def __init__(
        self,
        size: Sequence[int],
        align: Sequence[int],
        start: Sequence[int],
        end: Sequence[int],
        above: Sequence[dict[int, int]],
        overlaps: Sequence[tuple[int, int, int]],
    ) -> None:
        self.size, self.align, self.start, self.end = size, align, start, end
        self.above = above
        self.overlaps = overlaps

    def __len__(self) -> int:
        return len(self.size)

    @classmethod
    def of(cls, problem: MemoryProblem, unit: int) -> Placement:
        """Number the buffers of ``problem`` and measure distances in ``unit`` bytes."""
        buffers = problem.buffers
        index = {b.name: i for i, b in enumerate(buffers)}
        size = [-(-b.size // unit) for b in buffers]
        above: list[dict[int, int]] = [{} for _ in buffers]
        for i, a in enumerate(buffers):
            for j, b in enumerate(buffers[:i]):
                if a.start < b.end and b.start < a.end:
                    above[i][j], above[j][i] = size[i], size[j]
        for first, second in problem.disjoint:
            i, j = index[first], index[second]
            above[i][j], above[j][i] = size[i], size[j]
        overlaps = []
        for overlap in problem.overlaps:
            out, source = index[overlap.output], index[overlap.input]
            distance = min(-(-overlap.lead // unit), size[out])
            above[out][source] = distance
            overlaps.append((out, source, distance))
        return cls(
            size,
            [max(1, b.alignment // unit) for b in buffers],
            [b.start for b in buffers],
            [b.end for b in buffers],
            above,
            overlaps,
        )

    def restrict(self, keep: Sequence[int]) -> Placement:
        """Return the problem of the buffers ``keep`` alone, renumbered in that order."""
        index = {old: new for new, old in enumerate(keep)}
        return Placement(
            [self.size[i] for i in keep],
            [self.align[i] for i in keep],
            [self.start[i] for i in keep],
            [self.end[i] for i in keep],
            [{index[j]: d for j, d in self.above[i].items() if j in index} for i in keep],
            [(index[o], index[i], d) for o, i, d in self.overlaps if o in index and i in index],
        )

    def live_sets(self) -> dict[int, list[int]]:
        """Return the live buffers of each step that starts one; the other steps need no more."""
        return {
            t: [i for i in range(len(self)) if self.start[i] <= t < self.end[i]]
            for t in sorted(set(self.start))
        }

    def savings(self, step: int) -> dict[int, list[tuple[int, int]]]:
        """Return, for each output written in ``step``, the (input, distance) it may overlap."""
        found: dict[int, list[tuple[int, int]]] = {}
        for out, source, distance in self.overlaps:
            if self.start[out] == step and distance < self.size[out]:
                found.setdefault(out, []).append((source, distance))
        return found

    def least(self, step: int, live: Iterable[int]) -> int:
        """Return the fewest units that the buffers ``live`` need in ``step``.

        An output saves at most what each of its inputs can lend it, and never the part of it that
        lies below all of them.
        """
        savings = self.savings(step)
        saved = sum(self.saved(out, sources) for out, sources in savings.items())
        lenders = {i for sources in savings.values() for i, _ in sources}
        return sum(self.size[i] for i in live) - min(saved, sum(self.size[i] for i in lenders))

    def saved(self, out: int, sources: Iterable[tuple[int, int]]) -> int:
        """Return the most units that ``out`` can share with the (input, distance) ``sources``."""
        lent = [(min(self.size[out] - d, self.size[i]), d) for i, d in sources]
        if not lent:
            return 0
        return min(self.size[out] - min(d for _, d in lent), sum(units for units, _ in lent))

    def lower_bound(self) -> int:
        """Return the most units that any step needs."""
        return max((self.least(t, live) for t, live in self.live_sets().items()), default=0)

    def first_fit(self, order: Iterable[int]) -> list[int]:
        """Place buffers in ``order``, each at the lowest offset that is free."""
        offset = [-1] * len(self)
        for b in order:
            taken = sorted(
                (offset[a] - distance, offset[a] + self.above[a][b])
                for a, distance in self.above[b].items()
                if offset[a] >= 0
            )
            place, align = 0, self.align[b]
            for below, over in taken:
                if place <= below:
                    break  # it fits under this one, and under all after it
                if place < over:
                    place = -(-over // align) * align
            offset[b] = place
        return offset

    def peak(self, offset: Sequence[int]) -> int:
        """Return the end of the highest buffer, in units."""
        return max((x + s for x, s in zip(offset, self.size, strict=True)), default=0)
