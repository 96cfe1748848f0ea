"""Constants that a `.tflite` file stores sparsely: the values that are not zero, and their places.

The format is a tree: level by level, in `traversal_order`, it goes along one axis of the tensor, or
along one axis of the blocks that some axes are cut into (`block_map`). A level is dense, with all
positions, or it lists those that each branch of the level before goes on with (compressed sparse
rows). The branches that arrive at the end each have a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.errors import ModelFileError
from smidgen.schema import Record

Array = np.ndarray[Any, Any]

_DENSE = 0


def dense(sparsity: Record, shape: tuple[int, ...], values: Array, where: str) -> Array:
    """The whole tensor.

    Args:
        sparsity: The SparsityParameters table. It need not be trusted.
        shape: The tensor's dimensions.
        values: The stored elements, one axis.
        where: What messages call the tensor.

    Returns:
        An array of `shape`, zero where nothing is stored.

    Raises:
        ModelFileError: The table contradicts itself, the shape or the number of values.

    Example:
        >>> rows = {"format": 0, "dense_size": 2}
        >>> ones = ("Int32Vector", {"values": np.array([0, 1, 2])})
        >>> where = ("Uint8Vector", {"values": np.array([2, 0], np.uint8)})
        >>> cols = {"format": 1, "array_segments": ones, "array_indices": where}
        >>> table = {"traversal_order": np.array([0, 1]), "block_map": None}
        >>> dense({**table, "dim_metadata": [rows, cols]}, (2, 3), np.array([7, 8]), "w").tolist()
        [[0, 0, 7], [8, 0, 0]]
    """
    try:
        return _dense(sparsity, shape, values)
    except _WrongTableError as error:
        raise ModelFileError(
            f"its sparse encoding is wrong: {error}",
            where=where,
            hint="the file is damaged, or the converter that wrote it is; convert the model again",
        ) from None


class _WrongTableError(ValueError):
    """What a table gets wrong."""


def _dense(sparsity: Record, shape: tuple[int, ...], values: Array) -> Array:
    order, blocks = (_integers(sparsity[key]) for key in ("traversal_order", "block_map"))
    levels: list[Record] = sparsity["dim_metadata"] or []
    rank = len(shape)
    _check(sorted(order.tolist()) == list(range(len(levels))), "its axes are not each gone along")
    _check(len(levels) == rank + blocks.size, f"{len(levels)} levels for {rank} axes")
    _check(len(set(blocks.tolist())) == blocks.size, "an axis is cut into blocks twice")
    _check(((blocks >= 0) & (blocks < rank)).all(), "an axis that is not there is cut into blocks")
    # Of the axes, those of the blocks after those of the tensor.
    sizes = list(shape)
    for place, axis in enumerate(blocks.tolist()):
        block = levels[order.tolist().index(rank + place)]["dense_size"]
        _check(block > 0 and sizes[axis] % block == 0, f"blocks of {block} on an axis of {shape}")
        sizes[axis] //= block
        sizes.append(block)
    total = int(np.prod(shape, dtype=np.int64))
    branches = np.zeros(1, np.int64)  # the number of each in its level
    found: dict[int, Array] = {}  # by axis, where on it each branch is
    for axis, level in zip(order.tolist(), levels, strict=True):
        parents, branches, at = _descend(level, branches, sizes[axis], total)
        found = {other: places[parents] for other, places in found.items()}
        found[axis] = at
    _check(branches.size == values.size, f"{values.size} values for {branches.size} places")
    index = [found[axis] for axis in range(rank)]
    for place, axis in enumerate(blocks.tolist()):
        index[axis] = index[axis] * sizes[rank + place] + found[rank + place]
    result = np.zeros(shape, values.dtype)
    result[tuple(index)] = values[branches]
    return result


def _descend(level: Record, branches: Array, size: int, total: int) -> tuple[Array, Array, Array]:
    """One level down: for each new branch the old one, its own number and its position."""
    if int(level["format"]) == _DENSE:
        _check(level["dense_size"] == size, f"a level of {level['dense_size']} for {size}")
        _check(branches.size * size <= total, "it has more places than the tensor")
        parents = np.repeat(np.arange(branches.size), size)
        at = np.tile(np.arange(size), branches.size)
        return parents, branches[parents] * size + at, at
    segments, indices = (_vector(level[key]) for key in ("array_segments", "array_indices"))
    _check(segments.size == int(branches.max(initial=-1)) + 2, "its segments are not its branches")
    counts = np.diff(segments)
    _check(segments[0] == 0 and (counts >= 0).all(), "its segments do not ascend")
    _check(segments[-1] == indices.size <= total, "its segments do not end where its indices do")
    _check(((indices >= 0) & (indices < size)).all(), f"an index is not below {size}")
    counts = counts[branches]
    parents = np.repeat(np.arange(branches.size), counts)
    first = np.repeat(segments[branches] - np.cumsum(counts) + counts, counts)
    own = first + np.arange(parents.size)
    return parents, own, indices[own]


def _check(holds: Any, what: str) -> None:
    if not holds:
        raise _WrongTableError(what)


def _integers(array: Array | None) -> Array:
    return np.zeros(0, np.int64) if array is None else array.astype(np.int64)


def _vector(found: tuple[str, Record] | None) -> Array:
    _check(found is not None, "a level has no indices")
    assert found is not None
    return _integers(found[1]["values"])
