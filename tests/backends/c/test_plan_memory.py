from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings

from smidgen.backends.c._branch_and_bound import BranchAndBound, Work, least_peak
from smidgen.backends.c._placement import Placement
from smidgen.backends.c.memory_problem import Buffer, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.validate_plan import replay_plan, validate_plan
from tests.backends.c.problems import AD, KWS, VWW, chain, ic, memory_problems


def planned(problem: MemoryProblem) -> int:
    """Plan, judge twice, and return the arena's size."""
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    replay_plan(problem, plan)
    return plan.arena_bytes


def smallest_arena(problem: MemoryProblem) -> int:
    """The least arena by trying all offsets, with every byte's owner looked at."""
    buffers, unit = problem.buffers, min(b.alignment for b in problem.buffers)
    lead = {(o.input, o.output): o.lead for o in problem.overlaps}
    apart = {frozenset(pair) for pair in problem.disjoint}

    def clash(a: Buffer, x: int, b: Buffer, y: int) -> bool:
        if not set(range(x, x + a.size)) & set(range(y, y + b.size)):
            return False
        if frozenset((a.name, b.name)) in apart:
            return True
        if not set(range(a.start, a.end)) & set(range(b.start, b.end)):
            return False
        over = (a.name, b.name) in lead and y + lead[a.name, b.name] <= x
        return not (over or ((b.name, a.name) in lead and x + lead[b.name, a.name] <= y))

    def fits(placed: list[int], arena: int) -> bool:
        if len(placed) == len(buffers):
            return True
        b = buffers[len(placed)]
        return any(
            not any(clash(a, x, b, y) for a, x in zip(buffers, placed, strict=False))
            and fits([*placed, y], arena)
            for y in range(0, arena - b.size + 1, b.alignment)
        )

    return next(arena for arena in itertools.count(unit, unit) if fits([], arena))


@settings(max_examples=300, deadline=None)
@given(memory_problems())
def test_random_plans_are_sound(problem: MemoryProblem) -> None:
    assert planned(problem) >= max(b.size for b in problem.buffers)


@settings(max_examples=300, deadline=None)
@given(memory_problems(most=5, largest=6, alignments=(1, 2)))
def test_plans_are_as_small_as_brute_force_finds(problem: MemoryProblem) -> None:
    plan = plan_memory(problem)
    assert plan.optimal
    assert plan.arena_bytes == smallest_arena(problem)


@settings(max_examples=100, deadline=None)
@given(memory_problems(most=7, largest=5, alignments=(1,)))
def test_search_alone_finds_the_optimum(problem: MemoryProblem) -> None:
    # Without the heuristic's good start, so that every part of the tree is searched.
    numbered = Placement.of(problem, 1)
    work = Work(10_000_000, time.monotonic() + 60)
    offset, complete = least_peak(numbered, sum(numbered.size) + 1, 0, work)
    assert complete
    assert offset is not None
    assert numbered.peak(offset) == smallest_arena(problem)


@pytest.mark.parametrize(
    ("problem", "arena"),
    [(AD, 768), (KWS, 16000), (VWW, 55296), (ic(), 49152)],
    ids=["AD", "KWS", "VWW", "IC"],
)
def test_known_networks_meet_their_lower_bound(problem: MemoryProblem, arena: int) -> None:
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    assert (plan.arena_bytes, plan.optimal, plan.gap) == (arena, True, 0.0)


def test_an_elementwise_chain_is_all_in_place() -> None:
    assert planned(chain(1000, 1000, 1000, 1000, inplace=(1, 2, 3))) == 1000


@pytest.mark.parametrize(
    ("lead", "arena"),
    [(0, 100), (4, 104), (30, 132), (96, 196), (100, 200), (5000, 200)],
)
def test_the_output_starts_a_lead_below_its_input(lead: int, arena: int) -> None:
    problem = chain(100, 100, inplace=(1,), lead=lead)
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    assert plan.arena_bytes == arena
    if lead < 100:
        assert plan.offsets["t1"] + lead <= plan.offsets["t0"]


def test_leads_add_up_along_a_chain() -> None:
    # Each activation slides down by 16 bytes, so the first starts 3 * 16 up.
    assert planned(chain(100, 100, 100, 100, inplace=(1, 2, 3), lead=16)) == 148


def test_a_smaller_output_in_place_needs_nothing_more() -> None:
    assert planned(chain(1000, 200, inplace=(1,))) == 1000


def test_a_larger_output_in_place_needs_its_own_size() -> None:
    assert planned(chain(200, 1000, inplace=(1,))) == 1000


def test_one_of_two_operands_lends_its_bytes() -> None:
    buffers = (Buffer("a", 64, 0, 2), Buffer("b", 64, 0, 2), Buffer("sum", 64, 1, 3))
    overlaps = (Overlap("a", "sum"), Overlap("b", "sum"))
    assert planned(MemoryProblem(buffers, overlaps)) == 128


def test_scratch_takes_room_in_its_own_step_only() -> None:
    x, y, z = Buffer("x", 64, 0, 1), Buffer("y", 64, 0, 2), Buffer("z", 4, 1, 3)
    assert planned(MemoryProblem((x, y, z, Buffer("scratch", 60, 1, 2)))) == 128


def test_disjoint_pairs_never_share() -> None:
    x, y = Buffer("x", 64, 0, 1), Buffer("y", 32, 5, 6)
    assert planned(MemoryProblem((x, y))) == 64
    assert planned(MemoryProblem((x, y), disjoint=(("x", "y"),))) == 96


def test_offsets_are_aligned() -> None:
    buffers = tuple(Buffer(f"b{i}", 5, 0, 1, a) for i, a in enumerate((1, 4, 16, 4)))
    plan = plan_memory(MemoryProblem(buffers))
    validate_plan(MemoryProblem(buffers), plan)
    assert all(plan.offsets[b.name] % b.alignment == 0 for b in buffers)


def test_no_buffers_need_no_arena() -> None:
    plan = plan_memory(MemoryProblem(()))
    assert (plan.arena_bytes, plan.optimal, plan.offsets) == (0, True, {})


# The heuristic ends at 106 bytes on this one; only the search finds 102.
HARD = """id,lower,upper,size,alignment,overlaps
b0,4,8,27,1,b6:11
b1,2,7,18,1,b7:0
b2,3,4,16,1,
b3,1,5,5,1,
b4,5,10,25,1,b10:0
b5,0,3,29,1,
b6,2,5,24,1,
b7,1,3,10,1,
b8,4,6,3,1,b3:0
b9,4,7,25,1,
b10,4,6,18,1,
b11,6,9,25,1,b1:7
"""


def test_the_search_beats_the_heuristic() -> None:
    assert planned(MemoryProblem.from_csv(HARD)) == 102


def random_problem(chance: random.Random) -> MemoryProblem:
    """Nine buffers, crowded enough to make the search improve on what it found first."""
    buffers = []
    for i in range(9):
        start = chance.randrange(6)
        life, align = chance.randint(1, 4), chance.choice([1, 4])
        buffers.append(Buffer(f"b{i}", chance.randint(1, 10), start, start + life, align))
    overlaps = tuple(
        Overlap(a.name, b.name, chance.choice([0, 1, 5]))
        for a, b in itertools.permutations(buffers, 2)
        if a.end == b.start + 1 and a.start < b.start and chance.random() < 0.5
    )
    paired = {(o.input, o.output) for o in overlaps}
    apart = tuple(
        (a.name, b.name)
        for a, b in itertools.combinations(buffers, 2)
        if not paired & {(a.name, b.name), (b.name, a.name)} and chance.random() < 0.3
    )
    return MemoryProblem(tuple(buffers), overlaps, apart)


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_of_the_search_loses_the_optimum(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The memory is the boldest of the rules: without it nothing better may turn up.
    problem = Placement.of(random_problem(random.Random(seed)), 1)
    worst = sum(problem.size) + 1
    offset, complete = least_peak(problem, worst, 0, Work(10**9, time.monotonic() + 60))
    assert complete
    assert offset is not None
    monkeypatch.setattr(BranchAndBound, "_remembered", lambda *_: False)
    best = problem.peak(offset)
    lower, complete = least_peak(problem, best, 0, Work(10**9, time.monotonic() + 60))
    assert (lower, complete) == (None, True)


# Here a state of the search that is remembered must include how high it already reaches.
TALL = """id,lower,upper,size,alignment,overlaps,disjoint
b0,0,4,17,16,,
b1,11,13,40,16,b6:20,
b2,3,5,2,4,b0:1 b4:0,
b3,5,6,30,16,b9:1,b1 b2
b4,0,4,14,16,,b0
b5,2,4,31,4,,b0 b1 b2 b4
b6,10,12,27,16,,b0 b2 b4
b7,4,5,31,4,,b0 b2 b3 b6
b8,11,12,33,4,b6:1,b0 b1 b2 b7
b9,3,6,21,16,b5:0,b0 b1 b2 b4 b7
b10,0,4,10,16,,b0 b1 b2 b4 b5 b6 b9
"""


def test_the_search_remembers_the_peak() -> None:
    plan = plan_memory(MemoryProblem.from_csv(TALL))
    assert (plan.arena_bytes, plan.lower_bound) == (100, 100)


def test_the_search_raises_the_lower_bound() -> None:
    # The step alone would allow 20 bytes: 5 of each output over the input. Both cannot be had.
    buffers = (Buffer("x", 10, 0, 2, 1), Buffer("y", 10, 1, 3, 1), Buffer("z", 10, 1, 3, 1))
    problem = MemoryProblem(buffers, (Overlap("x", "y", 5), Overlap("x", "z", 5)))
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    assert (plan.arena_bytes, plan.lower_bound, plan.optimal) == (25, 25, True)


@settings(max_examples=25, deadline=None)
@given(memory_problems(most=10))
def test_the_same_problem_gets_the_same_plan(problem: MemoryProblem) -> None:
    assert plan_memory(problem) == plan_memory(problem)


def crowd(count: int) -> MemoryProblem:
    """Buffers of awkward sizes with awkward lifespans: too many to search to the end."""
    return MemoryProblem(
        tuple(
            Buffer(f"b{i}", 4 * (7 * i * i % 61 + 3), i * 5 % 17, i * 5 % 17 + 2 + i * i % 5)
            for i in range(count)
        )
    )


def test_an_unproven_plan_states_its_gap() -> None:
    problem = crowd(60)
    plan = plan_memory(problem, effort=2000)
    validate_plan(problem, plan)
    assert not plan.optimal
    assert plan.gap == (plan.arena_bytes - plan.lower_bound) / plan.lower_bound > 0
    assert plan == plan_memory(problem, effort=2000)


def test_a_deep_network_is_planned_in_time() -> None:
    problem = chain(*[4 * (1 + i * 37 % 101) for i in range(400)], inplace=tuple(range(3, 400, 3)))
    begin = time.process_time()
    plan = plan_memory(problem)
    assert time.process_time() - begin < 10
    validate_plan(problem, plan)
    assert plan.optimal
