"""Ranges of the operators that sum products with constant weights and then add a bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.numerics.requantize import (
    INT32_MAX,
    INT32_MIN,
    WIDE_LIMIT,
    requantize,
    requantize_wide,
)
from smidgen.ops._activation import BOUNDS, int_bounds
from smidgen.ops._op import NodeTypes
from smidgen.ops._range import ROUNDINGS, Range, hull, unknown

Array = np.ndarray[Any, Any]
Accumulate = Callable[[Array, Array], Array]


def contribution(
    accumulate: Accumulate, types: NodeTypes, ranges: tuple[Range | None, ...]
) -> Range | None:
    """`Op.contribution` of an operator whose sums of products are `accumulate(x, weights)`.

    Integers: exact interval arithmetic on centred inputs. Floats: a sum is known where every
    product has a factor that is always zero, for then no rounding is involved; nothing is known
    elsewhere.
    """
    x, weights = ranges[:2]
    assert x is not None and weights is not None
    if weights[0] is not weights[1]:
        return None
    w = weights[0].astype(np.float64)
    quant = types.inputs[1].quant if types.inputs[1] is not None else None
    if quant is not None and quant.axis is None:
        w = w - quant.zero_point
    if types.dtype == "float32":
        possible = ((x[0] != 0) | (x[1] != 0)).astype(np.float64)
        live = accumulate(possible, (w != 0).astype(np.float64)) > 0
        return np.where(live, -np.inf, 0.0), np.where(live, np.inf, 0.0)
    zero_point = types.zero_point(0)
    low, high = (end.astype(np.float64) - zero_point for end in x)
    rising, falling = np.maximum(w, 0), np.minimum(w, 0)
    ends = (
        accumulate(low, rising) + accumulate(high, falling),
        accumulate(high, rising) + accumulate(low, falling),
    )
    return ends[0].astype(np.int64), ends[1].astype(np.int64)


def value_range(
    accumulated: Range | None,
    types: NodeTypes,
    bias: Range | None,
    factors: Callable[[], tuple[Array, Array]],
    activation: str,
    wide: bool = False,
) -> tuple[Range, ...]:
    """Ranges of the output, from those of the sums.

    Args:
        accumulated: what `contribution` gave for all channels.
        types: of the node.
        bias: the bias operand.
        factors: makes multiplier and shift of each output channel (integers only).
        activation: the fused activation.
        wide: whether sums of 64 bits are scaled (`requantize_wide`).
    """
    out = types.outputs[0]
    if accumulated is None or (bias is not None and bias[0] is not bias[1]):
        return (unknown(out),)
    low, high = accumulated
    if out.dtype == "float32":
        offset = 0.0 if bias is None else bias[0].reshape(-1).astype(np.float64)
        ends = (
            np.clip(end + offset, *BOUNDS[activation]).astype(np.float32) for end in (low, high)
        )
        return (tuple(ends),)  # type: ignore[return-value]
    offset = 0 if bias is None else bias[0].reshape(-1).astype(np.int64)
    low, high = low + offset, high + offset
    multiplier, shift = factors()
    # Beyond these the accumulator or its shifted value would wrap around.
    if wide:
        most = np.minimum(np.int64(1) << (30 - shift.astype(np.int64)), WIDE_LIMIT)
        least = -most
    else:
        most, least = INT32_MAX >> np.maximum(shift, 0), INT32_MIN >> np.maximum(shift, 0)
    safe = (low >= least) & (high <= most)
    bounds = int_bounds(activation, types.quant(-1), out.dtype)
    zero_point = types.zero_point(-1)

    def outputs(acc: Array, rounding: str) -> Array:
        known = np.where(safe, acc, 0)
        if wide:
            scaled = requantize_wide(known, multiplier, shift, rounding)
        else:
            scaled = requantize(known, multiplier, shift, rounding)
        return np.clip(scaled.astype(np.int64) + zero_point, *bounds)

    points = [outputs(acc, rounding) for acc in (low, high) for rounding in ROUNDINGS]
    low, high = hull(*((p, p) for p in points))
    low, high = np.where(safe, low, bounds[0]), np.where(safe, high, bounds[1])
    return ((low.astype(out.dtype), high.astype(out.dtype)),)
