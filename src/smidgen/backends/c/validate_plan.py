"""An independent judge of memory plans: it knows the problem's rules and nothing of the solver.

`validate_plan` compares the byte intervals of every two live buffers in every step. `replay_plan`
is a second judge that compares no intervals: it plays the program on an arena of bytes, in which
every byte remembers who wrote it, and fails on the first read of somebody else's byte.
"""

from __future__ import annotations

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem
from smidgen.errors import PlanError


def validate_plan(problem: MemoryProblem, plan: MemoryPlan) -> None:
    """Check that ``plan`` is sound for ``problem``.

    Args:
        problem: The buffers, their lifespans and overlaps.
        plan: What is to be judged; only its offsets, arena size and bound are looked at.

    Raises:
        PlanError: A buffer is missing, misaligned or outside the arena, two buffers share bytes
            that they must not share, or the claims about the arena contradict each other. The
            message names the buffers, the step and the bytes.
    """
    if set(plan.offsets) != {b.name for b in problem.buffers}:
        odd = sorted(set(plan.offsets) ^ {b.name for b in problem.buffers})
        raise PlanError(f"buffers are planned and needed, but not both: {', '.join(odd[:5])}")
    for b in problem.buffers:
        offset, end = _bytes(b, plan)
        if offset < 0 or end > plan.arena_bytes:
            raise PlanError(
                f"bytes [{offset}, {end}) lie outside the arena of {plan.arena_bytes} bytes",
                where=f"buffer {b.name}",
            )
        if offset % b.alignment:
            raise PlanError(
                f"offset {offset} is not a multiple of {b.alignment}", where=f"buffer {b.name}"
            )
    if plan.lower_bound > plan.arena_bytes or (
        plan.optimal and plan.lower_bound != plan.arena_bytes
    ):
        raise PlanError(
            f"the arena of {plan.arena_bytes} bytes contradicts the lower bound of "
            f"{plan.lower_bound}"
        )
    lead = {(o.input, o.output): o.lead for o in problem.overlaps}
    for step in sorted({t for b in problem.buffers for t in (b.start, b.end - 1)}):
        live = [b for b in problem.buffers if b.start <= step < b.end]
        for i, first in enumerate(live):
            for second in live[:i]:
                if _share(first, second, plan) and not (
                    _may_overlap(first, second, step, lead, plan)
                    or _may_overlap(second, first, step, lead, plan)
                ):
                    raise PlanError(
                        f"{_clash(first, second, plan)}, and both live", where=f"step {step}"
                    )
    named = {b.name: b for b in problem.buffers}
    for one, other in problem.disjoint:
        if _share(named[one], named[other], plan):
            raise PlanError(f"{_clash(named[one], named[other], plan)}, which is forbidden")


def _bytes(buffer: Buffer, plan: MemoryPlan) -> tuple[int, int]:
    return plan.offsets[buffer.name], plan.offsets[buffer.name] + buffer.size


def _clash(first: Buffer, second: Buffer, plan: MemoryPlan) -> str:
    return " and ".join(
        "{} has bytes [{}, {})".format(b.name, *_bytes(b, plan)) for b in (first, second)
    )


def _share(first: Buffer, second: Buffer, plan: MemoryPlan) -> bool:
    (x, x_end), (y, y_end) = _bytes(first, plan), _bytes(second, plan)
    return max(x, y) < min(x_end, y_end)


def _may_overlap(
    source: Buffer, target: Buffer, step: int, lead: dict[tuple[str, str], int], plan: MemoryPlan
) -> bool:
    """Return whether ``target`` may be written over ``source`` in ``step``, as it lies."""
    ahead = lead.get((source.name, target.name))
    if ahead is None or target.start != step or source.end != step + 1:
        return False
    return plan.offsets[target.name] + ahead <= plan.offsets[source.name]


def replay_plan(problem: MemoryProblem, plan: MemoryPlan) -> None:
    """Play the program that ``problem`` describes in an arena laid out by ``plan``.

    In each step every scratch buffer and every output is written, byte by byte. A kernel with
    permission to overlap is taken at its word and no better: it reads input byte ``k`` as late as
    it may, just before it writes output byte ``k + lead``. Every input that lives on, or that
    has no permission, is read in full after the last write.

    Args:
        problem: The buffers, their lifespans and overlaps.
        plan: Offsets of all of them.

    Raises:
        PlanError: A byte is read that another buffer has overwritten.
    """
    lead: dict[str, dict[str, int]] = {b.name: {} for b in problem.buffers}
    for overlap in problem.overlaps:
        lead[overlap.output][overlap.input] = overlap.lead
    fading = {o.input for o in problem.overlaps}
    arena: dict[int, str] = {}  # byte -> who wrote it last

    def read(b: Buffer, first: int, last: int, step: int) -> None:
        for k in range(max(first, 0), min(last, b.size)):
            owner = arena.get(plan.offsets[b.name] + k)
            if owner != b.name:
                raise PlanError(
                    f"byte {k} of {b.name} is read, but {owner} has overwritten it",
                    where=f"step {step}",
                )

    for step in range(
        min((b.start for b in problem.buffers), default=0),
        max((b.end for b in problem.buffers), default=0),
    ):
        live = [b for b in problem.buffers if b.start <= step < b.end]
        named = {b.name: b for b in live}
        ending = {b.name for b in live if b.end == step + 1 and b.name in fading}
        # Graph inputs that start in the step that uses them are there before anything is written.
        arriving = [b for b in live if b.start == step and b.name in ending]
        written = [b for b in live if b.start == step and b.name not in ending]
        for b in arriving:
            arena.update(dict.fromkeys(range(*_bytes(b, plan)), b.name))
        before = dict(arena)
        # Which buffer of a step is written first is the kernel's affair: each of them may be.
        for turn in range(max(len(written), 1)):
            arena.clear()
            arena.update(before)
            wanted = dict.fromkeys(ending, 0)  # the first byte still to be read
            for b in written[turn:] + written[:turn]:
                for j in range(b.size):
                    for source, ahead in lead[b.name].items():
                        read(named[source], wanted[source], j - ahead + 1, step)
                        wanted[source] = max(wanted[source], j - ahead + 1)
                    arena[plan.offsets[b.name] + j] = b.name
            for b in live:
                read(b, wanted.get(b.name, 0), b.size, step)
