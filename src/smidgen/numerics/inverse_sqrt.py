"""1 / sqrt(x) of whole numbers, in fixed point: RSQRT and L2_NORMALIZATION."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.numerics.fixed_point import saturating_shift_left
from smidgen.numerics.requantize import (
    INT32_MAX,
    Int64Array,
    quantize_multiplier,
    requantize,
    rounding_divide_by_pot,
)
from smidgen.numerics.requantize import (
    saturating_rounding_doubling_high_mul as mul,
)

_THREE_HALVES_Q3 = (1 << 28) + (1 << 27)
_HALF_SQRT_2_Q0 = 1518500250
_STEPS = 5
_EXTRA_BITS = 20  # that RSQRT keeps between its two factors

MAX_RSQRT_SHIFT = _EXTRA_BITS
"""Factors from 2^20 on would be shifted left by RSQRT's second step."""


def inverse_sqrt(x: ArrayLike) -> tuple[Int64Array, Int64Array]:
    """1 / sqrt(x) as a multiplier and a shift, by Newton's iteration.

    Args:
        x: int32 values from 0; 0 counts as 1.

    Returns:
        `(multiplier, shift)` with 1 / sqrt(x) ~ multiplier * 2^(shift - 31); shifts are at most 0.

    Example:
        >>> multiplier, shift = inverse_sqrt(16)
        >>> round(float(multiplier) * 2.0 ** (int(shift) - 31), 6)
        0.25
    """
    value = np.maximum(np.asarray(x, np.int64), 1)
    shift = np.full(value.shape, 11, np.int64)
    for _ in range(2):  # an int32 is less than 2^29 * 4
        large = value >= 1 << 29
        value = np.where(large, value // 4, value)
        shift = shift + large
    bits = np.frexp(value.astype(np.float64))[1].astype(np.int64)
    pairs = (31 - bits) // 2 - 1
    shift = shift - pairs
    a = (value << 2 * pairs) >> 1  # in Q3.28, from 1/4 to 1
    half = rounding_divide_by_pot(a, 1)
    y: Int64Array = np.full(value.shape, 1 << 28, np.int64)
    for _ in range(_STEPS):
        cube = saturating_shift_left(mul(mul(y, y), y), 6)
        y = saturating_shift_left(mul(_THREE_HALVES_Q3, y) - mul(half, cube), 3)
    y = mul(y, _HALF_SQRT_2_Q0)
    y = np.where(shift < 0, y << np.maximum(-shift, 0), y)
    one = np.asarray(x, np.int64) <= 1
    return np.where(one, INT32_MAX, y), np.where(one, 0, -np.maximum(shift, 0))


def rsqrt_factor(input_scale: float, output_scale: float) -> tuple[int, int]:
    """The factor from 1 / sqrt(steps of the input) to steps of the output."""
    return quantize_multiplier(
        1.0 / float(np.sqrt(np.float32(input_scale)) * np.float32(output_scale))
    )


def rsqrt_int8(
    x: NDArray[np.int8],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> NDArray[np.int8]:
    """1 / sqrt(x), int8 in, int8 out; 127 where x is not positive.

    Args:
        x: int8 array of any shape.
        input_scale: Of `x`.
        input_zero_point: Of `x`.
        output_scale: Of the result.
        output_zero_point: Of the result.

    Returns:
        int8 array shaped like `x`.

    Raises:
        ValueError: If the scales are too small for the runtimes.

    Example:
        >>> rsqrt_int8(np.array([0, 1, 4, 16], np.int8), 1.0, 0, 0.01, 0).tolist()
        [127, 100, 50, 25]
    """
    multiplier, shift = rsqrt_factor(input_scale, output_scale)
    if shift > MAX_RSQRT_SHIFT:
        raise ValueError(f"scales {input_scale:.3g} and {output_scale:.3g} are too small")
    centred = x.astype(np.int64) - input_zero_point
    root, root_shift = inverse_sqrt(np.maximum(centred, 0))
    wide = requantize(np.ones_like(centred), root, root_shift + _EXTRA_BITS)
    scaled = requantize(wide, multiplier, max(shift - _EXTRA_BITS, -31)).astype(np.int64)
    return np.where(centred > 0, np.clip(scaled + output_zero_point, -128, 127), 127).astype(
        np.int8
    )


def l2_normalize_int8(x: NDArray[np.int8], zero_point: int) -> NDArray[np.int8]:
    """Each row of the last axis divided by its length, int8 in, int8 out (scale 1/128).

    Args:
        x: int8 array.
        zero_point: Of `x`.

    Returns:
        int8 array shaped like `x`, zero point 0.

    Example:
        >>> l2_normalize_int8(np.array([[3, -4]], np.int8), 0).tolist()
        [[77, -102]]
    """
    centred = x.astype(np.int64) - zero_point
    multiplier, shift = inverse_sqrt((centred * centred).sum(axis=-1, keepdims=True))
    scaled = requantize(centred, multiplier, shift + 7)
    return np.clip(scaled, -128, 127).astype(np.int8)
