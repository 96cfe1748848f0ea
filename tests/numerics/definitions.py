"""The definitions of rounding, in exact arithmetic on Python integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

HALF = Fraction(1, 2)


def half_up(x: Fraction) -> int:
    return math.floor(x + HALF)


def half_away(x: Fraction) -> int:
    return half_up(x) if x >= 0 else -half_up(-x)


def wrap_int32(x: int) -> int:
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


def requantize_double(acc: int, multiplier: int, shift: int) -> int:
    high = half_up(Fraction(wrap_int32(acc << max(shift, 0)) * multiplier, 1 << 31))
    return half_away(Fraction(high, 1 << max(-shift, 0)))


def requantize_single(acc: int, multiplier: int, shift: int) -> int:
    return wrap_int32(half_up(Fraction(acc * multiplier, 1 << (31 - shift))))


def near_ties(multiplier: int, shift: int) -> list[int]:
    """Accumulators at, just under and just over a tie of either rounding step."""
    found = [0, 1, -1, 2**31 - 1, -(2**31)]
    left, right = max(shift, 0), max(-shift, 0)
    odd = multiplier
    twos = 0
    while odd and odd % 2 == 0:
        odd //= 2
        twos += 1
    if odd:
        # acc * multiplier = 2^30 (mod 2^31) exactly: a tie of the high multiply.
        period = 1 << (31 - twos)
        tie = pow(odd, -1, period) * (1 << 30 - twos) % period if twos <= 30 else 0
        found += [tie + d for d in (-1, 0, 1)] + [tie - period + d for d in (-1, 0, 1)]
        # high = (2k + 1) * 2^(right - 1): a tie of the shift.
        for k in (0, 1, 2, 5, 1000):
            high = (2 * k + 1) << right >> 1
            acc = (high << 31) // multiplier >> left
            found += [sign * (acc + d) for sign in (1, -1) for d in (-1, 0, 1, 2)]
    return [acc for acc in found if -(2**31) <= acc < 2**31]
