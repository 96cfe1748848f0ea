from __future__ import annotations

import pytest
from hypothesis import given

from smidgen.backends.c.memory_problem import Buffer, MemoryProblem, Overlap
from smidgen.errors import PlanError
from tests.backends.c.problems import memory_problems


@given(memory_problems())
def test_csv_round_trip(problem: MemoryProblem) -> None:
    back = MemoryProblem.from_csv(problem.to_csv())
    assert back.buffers == problem.buffers
    assert set(back.overlaps) == set(problem.overlaps)
    assert set(back.disjoint) == set(problem.disjoint)


def test_minimalloc_files_are_read() -> None:
    problem = MemoryProblem.from_csv("id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\n")
    assert problem == MemoryProblem((Buffer("b1", 4, 0, 3), Buffer("b2", 4, 3, 9)))


def test_names_with_colons_are_kept_apart() -> None:
    x, y = Buffer("x;a:0", 8, 0, 1), Buffer("y", 8, 0, 2)
    problem = MemoryProblem((x, y), (Overlap("x;a:0", "y", 4),))
    assert MemoryProblem.from_csv(problem.to_csv()) == problem


def test_offsets_are_written_on_request() -> None:
    text = MemoryProblem((Buffer("x", 8, 0, 1),)).to_csv({"x": 12})
    assert text == "id,lower,upper,size,alignment,overlaps,disjoint,offset\nx,0,1,8,4,,,12\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,lower,upper\nx,0,1\n", "no column size"),
        ("id,lower,upper,size\nx,0,1,big\n", "line 2: not a number"),
        ("id,lower,upper,size\nx,0,1\n", "line 2: not a number"),
        ("id,lower,upper,size,overlaps\nx,0,1,4,\ny,0,1,4,x:far\n", "line 3: not a number"),
        ("", "no column id, lower, size, upper"),
    ],
)
def test_bad_tables_are_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        MemoryProblem.from_csv(text)


def test_a_name_that_cannot_stand_in_a_list_is_refused() -> None:
    with pytest.raises(PlanError, match="cannot stand in a list"):
        MemoryProblem((Buffer("two words", 8, 0, 1),)).to_csv()


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ([Buffer("x", 0, 0, 1)], "size 0 is not positive"),
        ([Buffer("x", 4, 2, 2)], r"lifespan \[2, 2\) is empty"),
        ([Buffer("x", 4, 0, 1, 3)], "alignment 3 is not a power of two"),
        ([Buffer("x", 4, 0, 1), Buffer("x", 8, 0, 1)], "two buffers have this name"),
    ],
)
def test_bad_buffers_are_refused(buffers: list[Buffer], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        MemoryProblem(tuple(buffers))


X, Y, Z = Buffer("x", 8, 0, 2), Buffer("y", 8, 1, 3), Buffer("z", 8, 2, 3)


@pytest.mark.parametrize(
    ("overlaps", "message"),
    [
        ([Overlap("x", "w")], "no buffer is called w"),
        ([Overlap("x", "x")], "cannot overlap itself"),
        ([Overlap("x", "y", -1)], "lead -1 is negative; use 0"),
        ([Overlap("x", "z")], "only the last step"),
        ([Overlap("y", "x")], "only the last step"),
        ([Overlap("x", "y"), Overlap("x", "y", 4)], "twice"),
    ],
)
def test_bad_overlaps_are_refused(overlaps: list[Overlap], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        MemoryProblem((X, Y, Z), tuple(overlaps))


@pytest.mark.parametrize("pair", [("x", "x"), ("x", "w"), ("y", "x")])
def test_bad_disjoint_pairs_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(PlanError):
        MemoryProblem((X, Y, Z), (Overlap("x", "y"),), (pair,))


def test_one_step_cannot_slide_twice() -> None:
    x, y, z = Buffer("x", 8, 0, 1), Buffer("y", 8, 0, 1), Buffer("z", 8, 0, 2)
    with pytest.raises(PlanError, match="itself written in this step"):
        MemoryProblem((x, y, z), (Overlap("x", "y"), Overlap("y", "z")))
