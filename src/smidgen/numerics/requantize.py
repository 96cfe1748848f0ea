"""From int32 accumulators to the output's scale: Q31 multipliers, shifts and how they round.

A real factor such as s_in * s_w / s_out becomes an integer `multiplier` in [2^30, 2^31) and a
power of two `shift`, real = multiplier * 2^(shift - 31). Applying it rounds twice in TensorFlow
Lite Micro ("double") and once in some LiteRT kernels ("single").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1

MIN_SHIFT = -31
"""Below this shift every bit would be shifted out, so the factor is flushed to zero."""

WIDE_LIMIT = (1 << 47) - 1
"""The largest 64-bit accumulator that is scaled with a 15-bit multiplier."""

WIDE_MAX_SHIFT = 7

MAX_SHIFT = 30
"""Left shifts beyond this one move an int32 out of itself; no quantized layer needs them."""


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The Q31 multiplier and shift that stand for a real factor.

    The mantissa is rounded half away from zero to 31 bits. Factors under 2^-32 become (0, 0).

    Args:
        real: A finite factor; negative ones give a negative multiplier.

    Returns:
        `(multiplier, shift)` with real ~ multiplier * 2^(shift - 31).

    Raises:
        ValueError: If `real` is not finite.

    Example:
        >>> quantize_multiplier(0.75)
        (1610612736, 0)
        >>> quantize_multiplier(2.0)
        (1073741824, 2)
    """
    if not math.isfinite(real):
        raise ValueError(f"a requantization factor of {real} is not a finite number")
    mantissa, shift = math.frexp(real)
    # The product is exact (a power of two), and so is adding one half: at most 31 integer bits
    # and 22 fraction bits.
    magnitude = math.floor(abs(mantissa) * 2.0**31 + 0.5)
    multiplier = magnitude if mantissa >= 0 else -magnitude
    if multiplier == 1 << 31:
        multiplier >>= 1
        shift += 1
    if multiplier == 0 or shift < MIN_SHIFT:
        return 0, 0
    return multiplier, shift


def quantize_multipliers(reals: ArrayLike) -> tuple[Int32Array, Int32Array]:
    """`quantize_multiplier` for each element of an array.

    Args:
        reals: Finite factors, any shape; computed in float64.

    Returns:
        `(multipliers, shifts)`, both int32 and shaped like `reals`.

    Example:
        >>> [a.tolist() for a in quantize_multipliers([0.75, 2.0])]
        [[1610612736, 1073741824], [0, 2]]
    """
    values = np.asarray(reals, np.float64)
    pairs = [quantize_multiplier(float(v)) for v in values.ravel()]
    table = np.array(pairs, np.int32).reshape(*values.shape, 2)
    return table[..., 0], table[..., 1]


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike) -> Int64Array:
    """The high 32 bits of 2 * a * b, rounded to nearest with ties upwards.

    Both operands are Q31 numbers in [-1, 1) and so is the product; only -1 * -1 saturates.

    Args:
        a: int32 values.
        b: int32 values, broadcastable with `a`.

    Returns:
        int32 values in an int64 array, ready for further fixed-point arithmetic.

    Example:
        >>> int(saturating_rounding_doubling_high_mul(1 << 30, 3))
        2
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    rounded = (product + (1 << 30)) >> 31
    saturated: Int64Array = np.minimum(rounded, INT32_MAX)
    return saturated


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Int64Array:
    """Divides by 2^exponent and rounds to nearest, ties away from zero.

    Args:
        x: int32 values.
        exponent: 0 to 31, broadcastable with `x`.

    Returns:
        int32 values in an int64 array.

    Example:
        >>> rounding_divide_by_pot([5, -5, 6, -6], 2).tolist()
        [1, -1, 2, -2]
    """
    value = np.asarray(x, np.int64)
    exp = np.asarray(exponent, np.int64)
    half = (np.int64(1) << exp) >> 1
    # A tie of a negative number goes down: its half is one unit short (value >> 63 is -1 then).
    # Without a shift there is nothing to round.
    all_bits_if_shifted = np.where(exp > 0, np.int64(-1), np.int64(0))
    quotient: Int64Array = (value + half + ((value >> 63) & all_bits_if_shifted)) >> exp
    return quotient


def requantize(
    acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike, rounding: str = "double"
) -> Int32Array:
    """Scales accumulators by multiplier * 2^(shift - 31).

    Args:
        acc: int32 values (any integer dtype that holds them).
        multiplier: From `quantize_multiplier`, at least 0; broadcastable with `acc`.
        shift: From `quantize_multiplier`, -31 to 30; broadcastable with `acc`.
        rounding: "double" is TensorFlow Lite Micro: shift left (modulo 2^32), high multiply
            with ties upwards, shift right with ties away from zero. "single" is one 64-bit
            product and one shift, ties upwards.

    Returns:
        int32 array, before any zero point is added or range clamped.

    Raises:
        ValueError: If a value is outside its range, or `rounding` is unknown.

    Example:
        >>> requantize([6, -6], *quantize_multiplier(0.25)).tolist()
        [2, -2]
        >>> requantize([6, -6], *quantize_multiplier(0.25), rounding="single").tolist()
        [2, -1]
    """
    x = _int32_values(acc, "accumulator")
    m = _int32_values(multiplier, "multiplier")
    s = np.asarray(shift, np.int64)
    if s.size and (s.min() < MIN_SHIFT or s.max() > MAX_SHIFT):
        raise ValueError(f"shifts {s.min()} to {s.max()} are not within {MIN_SHIFT} to {MAX_SHIFT}")
    if rounding == "double":
        if s.size and s.max() > 0:
            x = (x << np.maximum(s, 0)).astype(np.int32).astype(np.int64)
        high = saturating_rounding_doubling_high_mul(x, m)
        return rounding_divide_by_pot(high, np.maximum(-s, 0)).astype(np.int32)
    if rounding == "single":
        total = 31 - s
        return ((x * m + (np.int64(1) << (total - 1))) >> total).astype(np.int32)
    raise ValueError(f'rounding {rounding!r} is neither "double" nor "single"')


def requantize_wide(
    acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike, rounding: str = "double"
) -> Int32Array:
    """Scales the 64-bit accumulators of int16 activations, rounding once, with ties upwards.

    Args:
        acc: int64 values in [-2^47, 2^47).
        multiplier: From `quantize_multiplier`, at least 0; broadcastable with `acc`.
        shift: -31 to 7; broadcastable with `acc`.
        rounding: "double" is TensorFlow Lite Micro, which keeps 15 bits of the multiplier;
            "single" is LiteRT's FULLY_CONNECTED, which takes all of them.

    Returns:
        int32 array, before the range is clamped.

    Raises:
        ValueError: If a value is outside its range, or `rounding` is unknown.

    Example:
        >>> requantize_wide([1 << 40], *quantize_multiplier(2.0**-20)).tolist()
        [1048576]
    """
    x = _values_within(acc, -WIDE_LIMIT - 1, WIDE_LIMIT, "accumulator")
    s = _values_within(shift, MIN_SHIFT, WIDE_MAX_SHIFT, "shift")
    total = 15 - s
    if rounding == "double":
        product = x * reduced_multiplier(multiplier)
    elif rounding == "single":  # without the lowest 16 bits of the product, which do not count
        m = _int32_values(multiplier, "multiplier")
        product = (x >> 16) * m + ((x & 0xFFFF) * m >> 16)
    else:
        raise ValueError(f'rounding {rounding!r} is neither "double" nor "single"')
    return ((product + (np.int64(1) << (total - 1))) >> total).astype(np.int32)


def reduced_multiplier(multiplier: ArrayLike) -> Int64Array:
    """The multiplier of `requantize_wide`: 15 bits of a Q31 one.

    Example:
        >>> int(reduced_multiplier(1 << 30))
        16384
    """
    m = _int32_values(multiplier, "multiplier")
    reduced: Int64Array = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
    return reduced


def _int32_values(values: ArrayLike, what: str) -> Int64Array:
    """The values as int64, refusing those that are not int32."""
    array = np.asarray(values)
    if array.dtype == np.int32 or array.dtype == np.int8:
        return array.astype(np.int64)
    return _values_within(array, INT32_MIN, INT32_MAX, what)


def _values_within(values: Any, low: int, high: int, what: str) -> Int64Array:
    """The values as int64, refusing those outside [low, high]."""
    array = np.asarray(values).astype(np.int64, casting="same_kind")
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(f"{what} {array.min()} to {array.max()} is not within {low} to {high}")
    return array
