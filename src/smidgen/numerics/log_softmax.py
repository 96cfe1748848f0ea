"""int8 log-softmax: the logarithm of a sum of exponentials, in fixed point."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.fixed_point import (
    exp_on_negative_values,
    one_over_one_plus_x,
    saturating_shift_left,
)
from smidgen.numerics.requantize import (
    INT32_MAX,
    INT32_MIN,
    Int32Array,
    Int64Array,
    quantize_multiplier,
    requantize,
    rounding_divide_by_pot,
)
from smidgen.numerics.requantize import saturating_rounding_doubling_high_mul as mul

OUTPUT_SCALE = 16.0 / 256.0
OUTPUT_ZERO_POINT = 127
MIN_INPUT_SCALE = 2.0**-26
"""At this scale and below the runtimes have no factor for the differences."""
MAX_DEPTH = 4095
"""Longer rows of equal numbers would overflow the sum of their exponentials."""

_DIFF_BITS, _SUM_BITS, _OUTPUT_BITS = 5, 12, 4  # whole bits of differences, sums and outputs
_LOG_BITS = _DIFF_BITS + 1

# In Q0.31: ln 2, powers of one half, and the coefficients of the quotient that stands for ln.
_LN_2, _SQRT_HALF, _FOURTH_ROOT_HALF = 1488522236, 1518500250, 1805811301
_ALPHA_N, _ALPHA_D, _ALPHA_I, _ALPHA_F = 117049297, 127690142, 1057819769, 638450708


def factors(scale: float) -> tuple[tuple[int, int], tuple[int, int], int]:
    """From steps of the input to Q5.26 and back, and the least difference that counts.

    Raises:
        ValueError: If the runtimes have no factor for the scale.

    Example:
        >>> factors(0.5)[2]
        -31
    """
    if not scale > MIN_INPUT_SCALE:
        raise ValueError(f"input scale {scale:.3g} is not above {MIN_INPUT_SCALE:.3g}")
    fraction = 31 - _DIFF_BITS
    real = min(float(np.float32(scale)) * (1 << fraction), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    back = quantize_multiplier(float(1 << (31 - shift)) / multiplier)
    largest = ((1 << _DIFF_BITS) - 1) * (1 << fraction)
    return (multiplier, shift), back, -math.floor(largest / (1 << shift))


@lru_cache(maxsize=64)
def exponentials(scale: float) -> Int32Array:
    """e^(-scale * d) in Q12.19 for each difference d from 0 to the last that counts."""
    forth, _, least = factors(scale)
    differences = -np.arange(min(255, -least) + 1)
    found = exp_on_negative_values(requantize(differences, *forth).astype(np.int64), _DIFF_BITS)
    return rounding_divide_by_pot(found, _SUM_BITS).astype(np.int32)


def log_of_sum(raw: NDArray[np.int64]) -> Int64Array:
    """The natural logarithm of numbers from 1 on.

    Args:
        raw: In Q12.19.

    Returns:
        In Q5.26.

    Example:
        >>> round(float(log_of_sum(np.array([3 << 19]))[0]) / 2**26, 5)  # ln 3
        1.09861
    """
    quarter = 1 << (31 - _LOG_BITS - 2)

    def zeros(x: Int64Array) -> Int64Array:  # before the highest bit, of 32
        return 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)

    def power(bits: Int64Array) -> Int64Array:
        limited: Int64Array = np.clip(bits << (31 - _LOG_BITS), INT32_MIN, INT32_MAX)
        return limited

    # Two ways to write the number as r 2^n, of which the one with the larger power is taken.
    up = zeros(raw)
    first = saturating_shift_left(mul(raw << (up - 1), _SQRT_HALF), 1)
    first_power = power(_SUM_BITS - up) + quarter
    room = zeros(mul(raw, _SQRT_HALF)) - 1
    second = np.clip(raw << room, INT32_MIN, INT32_MAX)
    second_power = power(_SUM_BITS - room) - quarter
    r = np.minimum(first, second)
    n = np.maximum(first_power, second_power)

    total = r + _FOURTH_ROOT_HALF
    p = (total + np.where(total >= 0, 1, -1)) // 2
    q = 2 * (r - _FOURTH_ROOT_HALF)
    square = mul(q, q)
    numerator = mul(q, r) + mul(mul(q, square), _ALPHA_N)
    denominator = mul(p, _ALPHA_I + q + mul(_ALPHA_D, square)) + mul(_ALPHA_F, q)
    quotient = mul(rounding_divide_by_pot(numerator, _LOG_BITS), one_over_one_plus_x(denominator))
    return saturating_shift_left(mul(n, _LN_2) + quotient, 1)


def log_softmax_int8(x: NDArray[np.int8], scale: float) -> NDArray[np.int8]:
    """X minus the logarithm of the sum of e^x, over the last axis.

    Args:
        x: int8 array with rows of at most `MAX_DEPTH`.
        scale: Of `x`, above `MIN_INPUT_SCALE`.

    Returns:
        int8 array shaped like `x`, at scale 1/16 and zero point 127.

    Example:
        >>> log_softmax_int8(np.array([[0, 0], [0, 64]], np.int8), 0.25).tolist()
        [[116, 116], [-128, 127]]
    """
    forth, back, least = factors(scale)
    table = exponentials(scale).astype(np.int64)
    difference = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    counted = -difference < len(table)
    summands = np.where(counted, table[np.where(counted, -difference, 0)], 0)
    log_sum = log_of_sum(summands.sum(axis=-1, keepdims=True))
    last = np.maximum(least - 1, requantize(log_sum + INT32_MIN, *back).astype(np.int64))
    above = difference > last
    real = requantize(np.where(above, difference, 0), *forth).astype(np.int64) - log_sum
    answer = rounding_divide_by_pot(real, 31 - _DIFF_BITS - _OUTPUT_BITS) + OUTPUT_ZERO_POINT
    return np.where(above, np.clip(answer, -128, 127), -128).astype(np.int8)
