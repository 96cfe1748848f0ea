"""Means of integers, near ties first."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.average import mean_multiplier, rounded_quotient
from smidgen.numerics.requantize import INT32_MAX, MIN_SHIFT, requantize


def half_away(value: Fraction) -> int:
    return int(abs(value) + Fraction(1, 2)) * (1 if value > 0 else -1)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 49, 255, 256])
def test_every_quotient_is_the_nearest_one_and_ties_go_away_from_zero(count: int) -> None:
    totals = np.arange(-5 * count, 5 * count + 1)
    expected = [half_away(Fraction(int(t), count)) for t in totals]
    assert rounded_quotient(totals, count).tolist() == expected


def test_counts_may_differ_from_place_to_place() -> None:
    assert rounded_quotient([[9, -9], [9, -9]], [[2], [4]]).tolist() == [[5, -5], [2, -2]]


@given(st.floats(1e-12, 2.0**20), st.integers(1, 8_000_000))
def test_the_multiplier_stands_for_the_factor_over_the_count(real: float, count: int) -> None:
    multiplier, shift = mean_multiplier(real, count)
    assert 0 <= multiplier <= INT32_MAX
    assert shift >= MIN_SHIFT
    got = multiplier * 2.0 ** (shift - 31)
    # One unit is lost to truncation and half a unit to the factor's own rounding.
    assert got == pytest.approx(real / count, rel=2.0**-28, abs=2.0 ** (shift - 30))


def test_the_mean_of_equal_numbers_is_that_number() -> None:
    values = np.arange(-255, 256)
    for count in (1, 2, 3, 7, 12, 49, 64, 100, 2304):
        assert requantize(values * count, *mean_multiplier(1.0, count)).tolist() == values.tolist()


def test_a_factor_too_small_for_a_shift_loses_precision_first() -> None:
    assert mean_multiplier(2.0**-31, 1 << 10) == ((1 << 31 - 1) >> 9, -31)
    assert mean_multiplier(2.0**-40, 7) == (0, -2)
