"""Fixed-point elementary functions, bit-exact with the gemmlowp ones TensorFlow Lite uses.

A number in Qm.n is an int32 `raw` with m integer bits and n = 31 - m fraction bits: its value is
raw / 2^n. Functions take and return raw values held in int64 arrays; results lie in Q0.31 unless
stated otherwise, where "one" is the largest int32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from smidgen.numerics.requantize import (
    INT32_MAX,
    INT32_MIN,
    Int64Array,
    rounding_divide_by_pot,
)
from smidgen.numerics.requantize import (
    saturating_rounding_doubling_high_mul as mul,
)

ONE_Q0 = INT32_MAX
ONE_Q2 = 1 << 29

# e^-(2^k) in Q0.31 for k = -2 .. 4: the bits of the exponent that whole quarters leave over.
_EXP_OF_NEGATIVE_POWERS = {
    -2: 1672461947,
    -1: 1302514674,
    0: 790015084,
    1: 290630308,
    2: 39332535,
    3: 720401,
    4: 242,
}


def saturating_shift_left(x: ArrayLike, exponent: int) -> Int64Array:
    """Multiplies by 2^exponent and clamps to int32."""
    clamped: Int64Array = np.clip(np.asarray(x, np.int64) << exponent, INT32_MIN, INT32_MAX)
    return clamped


def exp_on_negative_values(raw: ArrayLike, integer_bits: int) -> Int64Array:
    """e^x for x <= 0.

    Args:
        raw: x in Q`integer_bits`, at most 0.
        integer_bits: 0 to 5.

    Returns:
        e^x in Q0.31.

    Example:
        >>> round(float(exp_on_negative_values(-(1 << 26), 5)) / 2**31, 6)  # e^-1
        0.36788
    """
    a = np.asarray(raw, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    # x = (the part in [-1/4, 0)) - (a whole number of quarters)
    part = (a & (quarter - 1)) - quarter
    quarters = part - a
    result = _exp_between_minus_one_quarter_and_zero(saturating_shift_left(part, integer_bits))
    for power, factor in _EXP_OF_NEGATIVE_POWERS.items():
        if power < integer_bits:
            has_bit = quarters & (1 << (fraction_bits + power)) != 0
            result = np.where(has_bit, mul(result, factor), result)
    return np.where(a == 0, ONE_Q0, result)


def _exp_between_minus_one_quarter_and_zero(a: Int64Array) -> Int64Array:
    """e^a for a in [-1/4, 0), both Q0.31: a Taylor polynomial around -1/8."""
    exp_minus_one_eighth = 1895147668
    one_third = 715827883
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3 = mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2)
    tail = rounding_divide_by_pot(mul(x4_over_4 + x3, one_third) + x2, 1)
    return exp_minus_one_eighth + mul(exp_minus_one_eighth, x + tail)


def _reciprocal_of_half(half_denominator: Int64Array) -> Int64Array:
    """1 / d in Q2.29 for d in [1/2, 1] in Q0.31: three Newton-Raphson steps."""
    forty_eight_over_17 = 1515870810  # Q2.29
    minus_32_over_17 = -1010580540  # Q2.29
    x = forty_eight_over_17 + mul(half_denominator, minus_32_over_17)
    for _ in range(3):
        error = ONE_Q2 - mul(half_denominator, x)
        x = x + saturating_shift_left(mul(x, error), 2)
    return x


def _half_of_one_plus(a: Int64Array) -> Int64Array:
    """(1 + a) / 2 in Q0.31 for a in [0, 1], rounded half up."""
    return (a + ONE_Q0 + 1) >> 1


def one_over_one_plus_x(raw: ArrayLike) -> Int64Array:
    """1 / (1 + x) for x in [0, 1], both in Q0.31.

    Example:
        >>> round(float(one_over_one_plus_x(1 << 30)) / 2**31, 6)
        0.666667
    """
    x = _reciprocal_of_half(_half_of_one_plus(np.asarray(raw, np.int64)))
    # Read as Q1.30 instead of Q2.29, 1/d is the wanted half of it; then Q1 becomes Q0.
    return saturating_shift_left(x, 1)


def one_minus_x_over_one_plus_x(raw: ArrayLike) -> Int64Array:
    """(1 - x) / (1 + x) for x in [0, 1], both in Q0.31."""
    x = _reciprocal_of_half(_half_of_one_plus(np.asarray(raw, np.int64)))
    return saturating_shift_left(x - ONE_Q2, 2)


def logistic(raw: ArrayLike, integer_bits: int) -> Int64Array:
    """1 / (1 + e^-x).

    Args:
        raw: x in Q`integer_bits`.
        integer_bits: 0 to 5.

    Returns:
        The logistic function in Q0.31.
    """
    a = np.asarray(raw, np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    result = np.where(a > 0, positive, ONE_Q0 - positive)
    return np.where(a == 0, 1 << 30, result)


def tanh(raw: ArrayLike, integer_bits: int) -> Int64Array:
    """The hyperbolic tangent.

    Args:
        raw: x in Q`integer_bits`.
        integer_bits: 0 to 4.

    Returns:
        tanh(x) in Q0.31.
    """
    a = np.asarray(raw, np.int64)
    # One integer bit more doubles the value: e^-2|x|.
    magnitude = one_minus_x_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits + 1))
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


def reciprocal(raw: ArrayLike, integer_bits: int) -> tuple[Int64Array, Int64Array]:
    """The reciprocal of positive numbers, normalized.

    Args:
        raw: x > 0 in Q`integer_bits`.
        integer_bits: Of `raw`.

    Returns:
        `(r, bits_over_unit)` with 1 / x = r * 2^-bits_over_unit and r in Q0.31, in (1/2, 1].

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> r, bits = reciprocal(3 << 19, 12)
        >>> round(float(r) / 2**31 / 2 ** int(bits), 6)
        0.333333
    """
    x = np.asarray(raw, np.int64)
    if x.size and x.min() <= 0:
        raise ValueError(f"{x.min()} has no positive reciprocal")
    # frexp's exponent of an integer below 2^53 is exactly its number of bits.
    bits = np.frexp(x.astype(np.float64))[1].astype(np.int64)
    fraction = (x << (32 - bits)) - (1 << 31)
    return one_over_one_plus_x(fraction), integer_bits - (32 - bits)
