"""Intervals: what the operators know about the values they compute, whatever the input.

A range is two arrays (low, high) of a tensor's own shape and dtype; each element lies between
them for every input the model can be given. Where they are equal the element is a constant.
Bounds hold for double and for single rounding alike, so that what is built on them (a removed
channel, say) changes the output of no runtime that rounds in either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import TensorType, numpy_dtype

if TYPE_CHECKING:
    from smidgen.ops._op import NodeTypes, Op

Array = np.ndarray[Any, Any]
Range = tuple[Array, Array]

ROUNDINGS = ("double", "single")


def unknown(type: TensorType) -> Range:
    """Any value that the dtype can hold."""
    dtype = numpy_dtype(type.dtype)
    low: float = -np.inf
    high: float = np.inf
    if type.dtype == "bool":
        low, high = 0, 1
    elif type.dtype == "int4":  # held in int8
        low, high = -8, 7
    elif dtype.kind in "iu":
        info = np.iinfo(str(dtype))
        low, high = int(info.min), int(info.max)
    ends = (np.broadcast_to(np.array(end, dtype), type.shape) for end in (low, high))
    return next(ends), next(ends)


def hull(*ranges: Range) -> Range:
    """The smallest range that holds all of the given ones."""
    lows, highs = zip(*ranges, strict=True)
    return np.minimum.reduce(lows), np.maximum.reduce(highs)


def monotone(op: Op, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
    """`Op.value_range` of an operator that never falls when any operand rises.

    Data movement, maxima, and sums with factors that are not negative. An operator whose integer
    arithmetic can wrap around must not use this where it does.
    """
    ends = [[None if r is None else r[end] for r in ranges] for end in (0, 1)]
    lows, highs = (evaluate(op, types, end) for end in ends)
    return tuple(hull(*lows[i], *highs[i]) for i in range(len(types.outputs)))


def corners(op: Op, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
    """`Op.value_range` of an integer operator on two operands, monotone in each on its own.

    It may rise with an operand at one value of the other and fall at another, as a product does.
    """
    if not _quantized(types):
        return tuple(unknown(type) for type in types.outputs)
    first, second = ranges
    assert first is not None and second is not None
    found = [evaluate(op, types, [a, b]) for a in first for b in second]
    return tuple(hull(*(r for f in found for r in f[i])) for i in range(len(types.outputs)))


def unary(op: Op, types: NodeTypes, ranges: tuple[Range | None, ...]) -> tuple[Range, ...]:
    """Range of an elementwise operator with one operand and one output, monotone or not.

    Integers are looked up in the table of all values. Of floats only a zero that stays zero is
    known: runtimes approximate functions differently elsewhere.
    """
    (operand,) = ranges
    assert operand is not None
    low, high = operand
    if types.dtype == types.outputs[0].dtype == "float32":
        zero = (low == 0) & (high == 0) & (op.float_ref(np.zeros_like(low))[0] == 0)
        bounds = unknown(types.outputs[0])
        return ((np.where(zero, 0, bounds[0]), np.where(zero, 0, bounds[1])),)
    if not _quantized(types) or low.dtype.kind not in "iu" or low.dtype.itemsize > 2:
        return (unknown(types.outputs[0]),)
    info = np.iinfo(low.dtype)
    domain = np.arange(info.min, info.max + 1).astype(low.dtype)
    table = evaluate(op, types, [domain.reshape(1, -1)])[0]
    worst, best = (t.ravel() for t in hull(*table))
    start, stop = low.astype(np.int64) - info.min, high.astype(np.int64) - info.min
    pairs, where = np.unique(np.stack([start.ravel(), stop.ravel()]), axis=1, return_inverse=True)
    lows = np.array([worst[a : b + 1].min() for a, b in pairs.T], worst.dtype)
    highs = np.array([best[a : b + 1].max() for a, b in pairs.T], best.dtype)
    return ((lows[where].reshape(low.shape), highs[where].reshape(low.shape)),)


def evaluate(op: Op, types: NodeTypes, arrays: list[Array | None]) -> list[list[Range]]:
    """Each output under each rounding, as ranges of one point."""
    if not _quantized(types):
        return [[(a, a)] for a in op.float_ref(*arrays)]
    runs = [op.int_ref(types, *arrays, rounding=rounding) for rounding in ROUNDINGS]
    return [[(run[i], run[i]) for run in runs] for i in range(len(types.outputs))]


def _quantized(types: NodeTypes) -> bool:
    present = [t for t in (*types.inputs, *types.outputs) if t is not None]
    return any(t.quant is not None for t in present)
