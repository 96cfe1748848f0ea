from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smidgen.numerics.requantize import (
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    requantize_wide,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from tests.numerics.definitions import (
    half_away,
    half_up,
    near_ties,
    requantize_double,
    requantize_single,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
MULTIPLIERS = st.one_of(
    st.integers(2**30, 2**31 - 1),
    st.sampled_from([0, 1, 2**30, 2**30 + 1, 3 << 29, 2**31 - 2, 2**31 - 1]),
)
SHIFTS = st.integers(-31, 30)


@pytest.mark.parametrize("shift", range(-31, 31))
def test_requantize_at_near_ties(shift: int) -> None:
    rng = np.random.default_rng(shift + 31)
    odd = [int(m) | 1 for m in rng.integers(2**30, 2**31, 12)]
    even = [int(m) & ~0xFF for m in rng.integers(2**30, 2**31, 4)]
    for multiplier in [0, 1, 2**30, 3 << 29, 2**31 - 1, *odd, *even]:
        accs = near_ties(multiplier, shift)
        got = requantize(accs, multiplier, shift)
        assert got.tolist() == [requantize_double(a, multiplier, shift) for a in accs]
        got = requantize(accs, multiplier, shift, rounding="single")
        assert got.tolist() == [requantize_single(a, multiplier, shift) for a in accs]


def test_near_ties_do_hit_both_ties() -> None:
    multiplier, shift = (2**30) | 12345, -4
    products = [Fraction(a * multiplier, 2**31) for a in near_ties(multiplier, shift)]
    assert {Fraction(1, 2)} & {p % 1 for p in products}
    highs = [half_up(p) for p in products]
    assert {h for h in highs if h % 16 == 8 and h > 0}
    assert {h for h in highs if h % 16 == 8 and h < 0}


@given(INT32, MULTIPLIERS, SHIFTS)
@example(-(2**31), 2**31 - 1, 0)
@example(2**31 - 1, 2**31 - 1, -31)
def test_requantize_is_its_definition(acc: int, multiplier: int, shift: int) -> None:
    assert requantize(acc, multiplier, shift) == requantize_double(acc, multiplier, shift)
    single = requantize(acc, multiplier, shift, rounding="single")
    assert single == requantize_single(acc, multiplier, shift)


@given(INT32, INT32)
@example(-(2**31), -(2**31))
def test_high_mul_is_its_definition(a: int, b: int) -> None:
    want = min(half_up(Fraction(a * b, 2**31)), 2**31 - 1)
    assert int(saturating_rounding_doubling_high_mul(a, b)) == want


@given(INT32, st.integers(0, 31))
def test_rounding_divide_is_its_definition(x: int, exponent: int) -> None:
    assert int(rounding_divide_by_pot(x, exponent)) == half_away(Fraction(x, 2**exponent))


@given(st.integers(-(2**47), 2**47 - 1), MULTIPLIERS, st.integers(-31, 7))
def test_requantize_wide_is_its_definition(acc: int, multiplier: int, shift: int) -> None:
    reduced = min(half_up(Fraction(multiplier, 2**16)), 0x7FFF)
    want = half_up(Fraction(acc * reduced, 2 ** (15 - shift)))
    if -(2**31) <= want < 2**31:
        assert requantize_wide([acc], multiplier, shift) == want


def test_requantize_broadcasts_over_channels() -> None:
    multipliers, shifts = quantize_multipliers([0.25, 0.001, 3.0])
    acc = np.arange(-12, 12, dtype=np.int32).reshape(2, 4, 3) * 1001
    got = requantize(acc, multipliers, shifts)
    assert got.dtype == np.int32
    for c in range(3):
        alone = requantize(acc[..., c], int(multipliers[c]), int(shifts[c]))
        np.testing.assert_array_equal(got[..., c], alone)


@pytest.mark.parametrize(
    ("real", "want"),
    [
        (0.0, (0, 0)),
        (-0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (-1.0, (-(1 << 30), 1)),
        (1.0 - 2.0**-31, (2**31 - 1, 0)),
        (1.0 - 2.0**-33, (1 << 30, 1)),  # the mantissa rounds up to 1
        (0.5 + 2.0**-32, ((1 << 30) + 1, 0)),  # a tie of the mantissa goes away from zero
        (-0.5 - 2.0**-32, (-(1 << 30) - 1, 0)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-32 * (1 - 2.0**-40), (1 << 30, -31)),  # rounds up into range
        (2.0**-33, (0, 0)),
        (1e-300, (0, 0)),
        (5e-324, (0, 0)),
        (2.0**40, (1 << 30, 41)),
    ],
)
def test_quantize_multiplier_edges(real: float, want: tuple[int, int]) -> None:
    assert quantize_multiplier(real) == want


@given(st.floats(min_value=2.0**-31, max_value=2.0**30))
def test_quantize_multiplier_is_the_nearest(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    error = abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32)


def test_quantize_multipliers_keeps_the_shape() -> None:
    reals = np.array([[0.1, 1e-40, 7.0], [0.0, 1.0, 0.999999999999]])
    multipliers, shifts = quantize_multipliers(reals)
    assert multipliers.shape == shifts.shape == (2, 3)
    assert multipliers.dtype == shifts.dtype == np.int32
    pairs = list(zip(multipliers.ravel().tolist(), shifts.ravel().tolist(), strict=True))
    assert pairs == [quantize_multiplier(r) for r in reals.ravel().tolist()]
    assert quantize_multipliers([])[0].shape == (0,)


@pytest.mark.parametrize("real", [float("inf"), float("-inf"), float("nan")])
def test_quantize_multiplier_refuses(real: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        quantize_multiplier(real)


def test_requantize_refuses_what_is_not_int32() -> None:
    with pytest.raises(ValueError, match="accumulator"):
        requantize([2**31], 1 << 30, 0)
    with pytest.raises(ValueError, match="shifts"):
        requantize([1], 1 << 30, 31)
    with pytest.raises(ValueError, match="shifts"):
        requantize([1], 1 << 30, -32)
    with pytest.raises(ValueError, match="neither"):
        requantize([1], 1 << 30, 0, rounding="up")
    with pytest.raises(TypeError):
        requantize([1.5], 1 << 30, 0)
    with pytest.raises(ValueError, match="shift"):
        requantize_wide([1], 1 << 30, 8)
