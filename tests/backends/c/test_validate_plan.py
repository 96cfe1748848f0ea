from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.validate_plan import replay_plan, validate_plan
from smidgen.errors import PlanError
from tests.backends.c.problems import memory_problems

X, Y, Z = Buffer("x", 8, 0, 2), Buffer("y", 8, 1, 3), Buffer("z", 8, 2, 4)
OVERLAP = Overlap("x", "y", 4)


def plan(arena: int = 16, **offsets: int) -> MemoryPlan:
    return MemoryPlan(offsets, arena, 0, optimal=False)


def verdict(problem: MemoryProblem, candidate: MemoryPlan) -> str:
    """What the interval judge says: an empty text when it finds no fault."""
    try:
        validate_plan(problem, candidate)
    except PlanError as error:
        return str(error)
    return ""


def replays(problem: MemoryProblem, candidate: MemoryPlan) -> bool:
    try:
        replay_plan(problem, candidate)
    except PlanError:
        return False
    return True


def test_a_sound_plan_passes() -> None:
    problem = MemoryProblem((X, Y, Z))
    assert verdict(problem, plan(x=0, y=8, z=0)) == ""
    assert replays(problem, plan(x=0, y=8, z=0))


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (plan(x=0, y=4, z=12, arena=20), r"step 1: y has bytes \[4, 12\) and x has bytes \[0, 8\)"),
        (plan(x=0, y=8, z=9, arena=20), "not a multiple of 4"),
        (plan(x=0, y=8, z=12, arena=20), "step 2: z has bytes"),
        (plan(x=0, y=8), "planned and needed, but not both: z"),
        (plan(x=0, y=8, z=0, w=0), "not both: w"),
        (plan(x=0, y=8, z=12), "outside the arena of 16 bytes"),
        (plan(x=-8, y=8, z=0), "outside the arena"),
        (replace(plan(x=0, y=8, z=0), lower_bound=20), "contradicts the lower bound of 20"),
        (replace(plan(x=0, y=8, z=0), lower_bound=12, optimal=True), "contradicts"),
    ],
)
def test_faults_are_found(candidate: MemoryPlan, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        validate_plan(MemoryProblem((X, Y, Z)), candidate)


@pytest.mark.parametrize(
    ("x", "y", "sound"),
    [(4, 0, True), (8, 0, True), (0, 8, True), (0, 0, False), (0, 4, False), (8, 8, False)],
)
def test_the_lead_is_held(x: int, y: int, sound: bool) -> None:
    problem = MemoryProblem((X, Y), (OVERLAP,))
    assert (verdict(problem, plan(x=x, y=y)) == "") is sound
    assert replays(problem, plan(x=x, y=y)) is sound


def test_an_overlap_helps_no_other_pair() -> None:
    # w lives with x and y in step 1, and has no permission.
    problem = MemoryProblem((X, Y, Buffer("w", 4, 1, 2)), (OVERLAP,))
    for w in (0, 4, 8):
        assert verdict(problem, plan(x=4, y=0, w=w, arena=16))
        assert not replays(problem, plan(x=4, y=0, w=w, arena=16))
    assert verdict(problem, plan(x=4, y=0, w=12)) == ""


def test_disjoint_pairs_are_checked() -> None:
    problem = MemoryProblem((X, Z), disjoint=(("x", "z"),))
    assert "forbidden" in verdict(problem, plan(x=0, z=4))
    assert verdict(problem, plan(x=0, z=8)) == ""


def test_the_replay_says_who_overwrote_whom() -> None:
    with pytest.raises(PlanError, match="step 1: byte 4 of x is read, but y has overwritten it"):
        replay_plan(MemoryProblem((X, Y)), plan(x=0, y=4))


def test_a_graph_input_may_be_overwritten_in_the_first_step() -> None:
    x, y = Buffer("x", 8, 0, 1), Buffer("y", 8, 0, 2)
    problem = MemoryProblem((y, x), (Overlap("x", "y"),))
    assert replays(problem, plan(x=0, y=0))
    assert verdict(problem, plan(x=0, y=0)) == ""


@settings(max_examples=300, deadline=None)
@given(memory_problems(alignments=(1, 4)), st.data())
def test_both_judges_agree_on_any_offsets(problem: MemoryProblem, data: st.DataObject) -> None:
    # The replay knows bytes and moments, the other intervals: they share no rule, only a verdict.
    problem = replace(problem, disjoint=())
    offsets = {
        b.name: data.draw(st.integers(0, 12)) * b.alignment * data.draw(st.sampled_from([1, 4]))
        for b in problem.buffers
    }
    candidate = MemoryPlan(offsets, 1000, 0, optimal=False)
    assert (verdict(problem, candidate) == "") is replays(problem, candidate)


@settings(max_examples=200, deadline=None)
@given(memory_problems(), st.data())
def test_a_moved_buffer_is_caught(problem: MemoryProblem, data: st.DataObject) -> None:
    paired = {frozenset((o.input, o.output)) for o in problem.overlaps}
    together = [
        (a, b)
        for a in problem.buffers
        for b in problem.buffers
        if a.start < b.end and b.start < a.end and a is not b
        if frozenset((a.name, b.name)) not in paired
    ]
    assume(together)
    moved, onto = data.draw(st.sampled_from(together))
    good = plan_memory(problem, effort=20_000)
    assert verdict(problem, good) == ""
    offsets = {**good.offsets, moved.name: good.offsets[onto.name]}
    bad = MemoryPlan(offsets, 10_000, 0, optimal=False)
    assert verdict(problem, bad)
    assert not replays(problem, bad)
