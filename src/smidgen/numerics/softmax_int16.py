"""int16 softmax: exponentials and the reciprocal of their sum from tables of 513 values."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.affine import round_half_away
from smidgen.numerics.requantize import quantize_multiplier, requantize

OUTPUT_SCALE = 2.0**-15
"""Of the result; its zero point is 0."""

MAX_DEPTH = 65535
"""Longest row whose sum of exponentials (each below 2^15) cannot leave int32."""

_STEPS = 512
_MAX_SHIFT = 15  # distances from the maximum take 16 bits
_F32 = np.float32


@cache
def exp_table() -> NDArray[np.int16]:
    """e^x in Q0.15 at 513 places from -10 to 0."""
    return _table(_F32(10) / _F32(65535), 32767, np.exp)


@cache
def reciprocal_table() -> NDArray[np.int16]:
    """1 / (1 + x) in Q0.15 at 513 places from 0 to 1."""
    return _table(_F32(1) / _F32(65535), -32768, lambda x: 1 / (1 + x))


def _table(
    scale: np.float32, zero_point: int, function: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[np.int16]:
    """A function's values, each moved by half of what lines to its neighbours are off midway.

    All in float32, as the runtimes make it when they load a model.
    """

    def at(x: NDArray[np.float32]) -> NDArray[np.float32]:
        value: NDArray[np.float32] = function(x.astype(np.float64)).astype(_F32)
        return value

    def rounded(x: NDArray[np.float32]) -> NDArray[np.float32]:
        whole: NDArray[np.float32] = round_half_away(x).astype(_F32)
        return whole

    low, high = (scale * _F32(end - zero_point) for end in (-32768, 32767))
    step = (high - low) / _F32(_STEPS)
    # Outputs have a scale of 2 / 65535; this takes a value to its integer.
    unit = _F32(2) / _F32(65535)
    inverse = _F32(65536) / (unit * _F32(32767) - unit * _F32(-32768))
    places = np.arange(_STEPS, dtype=_F32)
    here = low + places * step
    value, middle, after = (
        at(x) * inverse for x in (here, here + step / _F32(2), low + (places + _F32(1)) * step)
    )
    line = rounded((after + rounded(value)) / _F32(2))
    moved = rounded(value) - rounded((line - rounded(middle)) / _F32(2))
    last = rounded(at(np.array([high])) * inverse)
    clipped = np.clip(np.concatenate([moved, last]), -32768, 32767)
    table: NDArray[np.int16] = clipped.astype(np.int16)
    table.setflags(write=False)
    return table


def multiplier(input_scale: float, beta: float) -> tuple[int, int]:
    """The multiplier and shift that bring distances to the steps of `exp_table`, 10 / 65535.

    Raises:
        ValueError: If a distance could leave 32 bits.

    Example:
        >>> multiplier(10 / 65535, 1.0)[1]
        1
    """
    factor = float(_F32(input_scale)) * float(_F32(beta)) / (10.0 / 65535.0)
    found = quantize_multiplier(factor)
    if found[1] > _MAX_SHIFT:
        raise ValueError(f"input scale {input_scale} times beta {beta} is not below 5")
    return found


def softmax_int16(x: NDArray[np.int16], input_scale: float, beta: float = 1.0) -> NDArray[np.int16]:
    """Softmax over the last axis, int16 in, int16 out (scale 2^-15).

    Args:
        x: int16 array (..., depth), depth 1 to `MAX_DEPTH`.
        input_scale: Of `x`; its zero point is 0.
        beta: Positive.

    Returns:
        int16 array shaped like `x`.

    Raises:
        ValueError: If the rows are too long or the scale too large.

    Example:
        >>> softmax_int16(np.array([[0, 0, 1000]], np.int16), 0.001).tolist()
        [[6945, 6945, 18879]]
    """
    if x.shape[-1] > MAX_DEPTH:
        raise ValueError(f"rows of {x.shape[-1]} are longer than {MAX_DEPTH}")
    distance = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    scaled = requantize(distance, *multiplier(input_scale, beta)).astype(np.int64)
    exps = _lookup(np.clip(scaled + 32767, -32768, 32767), exp_table())
    sums = exps.sum(axis=-1, keepdims=True)
    # The sum as (1 + fraction) * 2^n; frexp's exponent of an integer is its number of bits.
    bits = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
    fraction = ((sums << (31 - bits)) + (1 << 13)) >> 14
    scale = _lookup(np.clip(fraction - (1 << 16) - (1 << 15), -32768, 32767), reciprocal_table())
    right = bits - 1
    q = (exps * scale + (np.int64(1) << (right - 1))) >> right
    narrow: NDArray[np.int16] = np.clip(q, 0, 32767).astype(np.int16)
    return narrow


def _lookup(value: NDArray[np.int64], table: NDArray[np.int16]) -> NDArray[np.int64]:
    """A table of 513 values at -2^15 to 2^15, straight lines in between."""
    known = table.astype(np.int64)
    place, offset = 256 + (value >> 7), value & 0x7F
    found: NDArray[np.int64] = known[place] + (
        ((known[place + 1] - known[place]) * offset + 64) >> 7
    )
    return found
