"""Sparse constants of `.tflite` files: what an independent encoder stores comes back."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.errors import ModelFileError
from smidgen.frontends.tflite.sparse import dense
from smidgen.schema import Record

Array = np.ndarray[Any, Any]


def encode(
    array: Array, order: Sequence[int], blocks: Sequence[tuple[int, int]], sparse: Sequence[bool]
) -> tuple[Record, Array]:
    """Store an array sparsely, element by element.

    Args:
        array: The tensor.
        order: The order in which axes are gone along; those of the blocks follow the tensor's.
        blocks: (axis, size) of the axes that are cut into blocks.
        sparse: By place in the order, whether positions are listed.

    Returns:
        The SparsityParameters table and the stored elements.
    """
    size_of = dict(blocks)
    sizes = [n // size_of.get(axis, 1) for axis, n in enumerate(array.shape)]
    sizes += [size for _, size in blocks]
    levels: list[Record] = []
    for axis, listed in zip(order, sparse, strict=True):
        kinds = ("Int32Vector", np.int32), ("Uint16Vector", np.uint16), ("Uint8Vector", np.uint8)
        name, dtype = kinds[axis % 3]
        entry: Record = {"format": int(listed), "dense_size": 0 if listed else sizes[axis]}
        entry |= {"array_segments": None, "array_indices": None}
        if listed:
            entry |= {"array_segments": ("Int32Vector", {"values": [0]})}
            entry |= {"array_indices": (name, {"values": [], "dtype": dtype})}
        levels.append(entry)
    values: list[Any] = []

    def element(place: dict[int, int]) -> Any:
        index = [place[axis] for axis in range(array.ndim)]
        for k, (axis, size) in enumerate(blocks):
            index[axis] = index[axis] * size + place[array.ndim + k]
        return array[tuple(index)]

    def any_below(place: dict[int, int], depth: int) -> bool:
        rest = order[depth:]
        return any(
            element({**place, **dict(zip(rest, at, strict=True))}) != 0
            for at in itertools.product(*[range(sizes[axis]) for axis in rest])
        )

    def walk(place: dict[int, int], depth: int) -> None:
        if depth == len(order):
            values.append(element(place))
            return
        axis, level = order[depth], levels[depth]
        for at in range(sizes[axis]):
            here = {**place, axis: at}
            if level["format"] == 0:
                walk(here, depth + 1)
            elif any_below(here, depth + 1):
                level["array_indices"][1]["values"].append(at)
                walk(here, depth + 1)
        if level["format"]:
            count = len(level["array_indices"][1]["values"])
            level["array_segments"][1]["values"].append(count)

    walk({}, 0)
    for level in levels:
        for key in ("array_segments", "array_indices"):
            if level[key] is not None:
                vector = level[key][1]
                vector["values"] = np.array(vector["values"], vector.pop("dtype", np.int32))
    block_map = np.array([axis for axis, _ in blocks], np.int32) if blocks else None
    table = {"traversal_order": np.array(order, np.int32), "block_map": block_map}
    return {**table, "dim_metadata": levels}, np.array(values, array.dtype)


@st.composite
def stored(draw: st.DrawFn) -> tuple[Array, Record, Array]:
    rank = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blocks, shape = [], []
    for axis in range(rank):
        size = draw(st.sampled_from((1, 1, 2, 4)))
        shape.append(size * draw(st.integers(1, 3)))
        if size > 1:
            blocks.append((axis, size))
    order = [*draw(st.permutations(range(rank))), *range(rank, rank + len(blocks))]
    listed = [draw(st.booleans()) for _ in range(rank)] + [False] * len(blocks)
    dtype = draw(st.sampled_from((np.float32, np.float16, np.int8)))
    array = (rng.integers(-9, 9, shape) * (rng.random(shape) < 0.4)).astype(dtype)
    return array, *encode(array, order, blocks, listed)


@given(stored())
@settings(max_examples=150, deadline=None)
def test_what_is_stored_comes_back(case: tuple[Array, Record, Array]) -> None:
    array, table, values = case
    got = dense(table, array.shape, values, "w")
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def example() -> tuple[Array, Record, Array]:
    array = np.array([[0, 0, 7, 0], [8, 0, 0, 9]], np.int8)
    return array, *encode(array, (0, 1), (), (False, True))


def vector(level: int, key: str, values: list[int]) -> Callable[[Record], None]:
    def apply(table: Record) -> None:
        table["dim_metadata"][level][key] = ("Int32Vector", {"values": np.array(values, np.int32)})

    return apply


def field(key: str, value: object) -> Callable[[Record], None]:
    return lambda table: table.update({key: value})


def level(number: int, **fields: object) -> Callable[[Record], None]:
    return lambda table: table["dim_metadata"][number].update(fields)


WRONG: dict[str, tuple[Callable[[Record], None], str]] = {
    "an axis twice": (field("traversal_order", np.array([0, 0])), "not each gone along"),
    "an axis that is not there": (field("traversal_order", np.array([0, 2])), "not each"),
    "a negative axis": (field("traversal_order", np.array([0, -1])), "not each"),
    "no order": (field("traversal_order", None), "not each"),
    "no levels": (field("dim_metadata", None), "not each"),
    "blocks without a level": (field("block_map", np.array([0])), "2 levels for 2 axes"),
    "another dense size": (level(0, dense_size=3), "a level of 3 for 2"),
    "a huge dense size": (level(0, dense_size=2**31 - 1), "a level of"),
    "no indices": (level(1, array_indices=None), "no indices"),
    "no segments": (level(1, array_segments=None), "no indices"),
    "too few segments": (vector(1, "array_segments", [0, 3]), "segments are not its branches"),
    "segments that start late": (vector(1, "array_segments", [1, 1, 3]), "do not ascend"),
    "segments that descend": (vector(1, "array_segments", [0, 4, 3]), "do not ascend"),
    "segments beyond the indices": (vector(1, "array_segments", [0, 1, 4]), "do not end where"),
    "an index beyond the axis": (vector(1, "array_indices", [2, 0, 4]), "not below 4"),
    "a negative index": (vector(1, "array_indices", [2, -1, 3]), "not below 4"),
    "more places than values": (level(1, format=0, dense_size=4), "3 values for 8 places"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_contradicts_itself_is_refused(case: str) -> None:
    array, table, values = example()
    np.testing.assert_array_equal(dense(table, array.shape, values, "w"), array)
    spoil, says = WRONG[case]
    spoiled = copy.deepcopy(table)
    spoil(spoiled)
    with pytest.raises(ModelFileError, match=says) as caught:
        dense(spoiled, array.shape, values, "tensor 3 'w'")
    assert caught.value.where == "tensor 3 'w'"


@pytest.mark.parametrize("size", [0, -1, 3, 2**31 - 1])
def test_blocks_that_do_not_fit_are_refused(size: int) -> None:
    array = np.eye(4, dtype=np.int8)
    table, values = encode(array, (0, 1, 2), [(1, 2)], (False, True, False))
    table["dim_metadata"][2]["dense_size"] = size
    with pytest.raises(ModelFileError, match="blocks of"):
        dense(table, array.shape, values, "w")


def test_levels_that_grow_beyond_the_tensor_are_refused() -> None:
    array = np.eye(4, dtype=np.int8)
    table, values = encode(array, (0, 1, 2, 3), [(0, 2), (1, 2)], (True, True, False, False))
    table["block_map"] = np.array([0, 0])
    with pytest.raises(ModelFileError, match="twice"):
        dense(table, array.shape, values, "w")


@given(stored(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_a_damaged_table_is_read_or_refused(case: tuple[Array, Record, Array], seed: int) -> None:
    array, table, values = case
    rng = np.random.default_rng(seed)
    numbers = [table["traversal_order"], table["block_map"]]
    for level in table["dim_metadata"]:
        parts = (level["array_segments"], level["array_indices"])
        numbers += [part[1]["values"] for part in parts if part is not None]
        if rng.random() < 0.2:
            level["dense_size"] = int(rng.choice((-1, 0, 1, 3, 2**31 - 1)))
        if rng.random() < 0.1:
            level["format"] = 1 - level["format"]
    for vector in numbers:
        if vector is not None and vector.size and rng.random() < 0.4:
            vector[rng.integers(vector.size)] = rng.choice((0, 1, 2, 5, 100))
    try:
        got = dense(table, array.shape, values[: values.size - int(rng.random() < 0.1)], "w")
    except ModelFileError:
        return
    assert (got.shape, got.dtype) == (array.shape, array.dtype)
