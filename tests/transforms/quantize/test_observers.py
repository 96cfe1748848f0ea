"""Observers: the range found is the one the definition says, by a slower way to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smidgen.numerics.affine import quantize
from smidgen.transforms.quantize.observers import (
    OBSERVERS,
    Histogram,
    min_max,
    mse,
    percentile,
    start,
)
from smidgen.transforms.quantize.plan import activation_params

float32s = hnp.arrays(
    np.float32,
    st.integers(1, 300),
    # Beside the largest, much smaller ones vanish in float32.
    elements=st.floats(-(2.0**40), 2.0**40, width=32).map(lambda x: x if abs(x) > 2**-40 else 0.0),
)


def observed(values, observer="mse"):
    seen = start(observer)
    seen.add(np.asarray(values, np.float32))
    return OBSERVERS[observer](seen)


def squared_error(values, low, high):
    params = activation_params(low, high)
    q = quantize(values, params.scale, params.zero_point, "int8").astype(np.float64)
    return float(np.mean(((q - params.zero_point) * params.scale - values) ** 2))


@settings(max_examples=60, deadline=None)
@given(values=float32s, cuts=st.lists(st.integers(0, 300), max_size=4))
def test_what_is_kept_does_not_depend_on_the_batches(values, cuts):
    once, parts = Histogram(), Histogram()
    once.add(values)
    for part in np.split(values, sorted(min(c, len(values)) for c in cuts)):
        parts.add(part)
    assert (once.low, once.high, once.zeros) == (parts.low, parts.high, parts.zeros)
    np.testing.assert_array_equal(once.counts, parts.counts)
    np.testing.assert_array_equal(once.edges, parts.edges)


@settings(max_examples=40, deadline=None)
@given(values=float32s)
def test_every_value_is_in_its_bin(values):
    seen = Histogram()
    seen.add(values)
    assert seen.total == values.size
    others = values[values != 0].astype(np.float64)
    expected, _ = np.histogram(others, seen.edges) if others.size else (seen.counts * 0, None)
    np.testing.assert_array_equal(seen.counts, expected)


@pytest.mark.parametrize("observer", OBSERVERS)
@settings(max_examples=10, deadline=None)
@given(values=float32s)
def test_a_range_holds_zero_and_nothing_that_was_not_seen(observer, values):
    low, high = observed(values, observer)
    assert min(0.0, float(values.min())) <= low <= 0 <= high <= max(0.0, float(values.max()))


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(observer, bad):
    seen = start(observer)
    with pytest.raises(ValueError, match="NaN or infinity"):
        seen.add(np.array([1, bad], np.float32))


@pytest.mark.parametrize("observer", OBSERVERS)
def test_zeros_alone_have_a_range(observer):
    assert observed(np.zeros(100), observer) == (0.0, 0.0)


def test_min_max_is_everything():
    assert min_max(start("min-max")) == (0.0, 0.0)
    assert observed([-3, 5, 1], "min-max") == (-3.0, 5.0)


def test_percentile_leaves_out_a_ten_thousandth_at_each_end():
    values = np.random.default_rng(0).normal(size=200_000)
    values[:15] = 1000
    low, high = observed(values, "percentile")
    assert np.mean(values < low) <= 1e-4
    assert np.mean(values > high) <= 1e-4
    want_low, want_high = np.quantile(values, [1e-4, 1 - 1e-4])
    # One bin of the histogram, which is as fine as the outliers let it be.
    assert low == pytest.approx(want_low, abs=2)
    assert high == pytest.approx(want_high, abs=2)
    seen = Histogram()
    seen.add(values.astype(np.float32))
    assert percentile(seen, keep=0.5)[0] <= 0 <= percentile(seen, keep=0.5)[1]


@pytest.mark.parametrize("outlier", [1, 5, 50, 1000])
@pytest.mark.parametrize("one_sided", [False, True])
def test_mse_finds_the_least_squared_error(outlier, one_sided):
    values = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    values = np.abs(values) if one_sided else values
    values[:3] *= outlier
    low, high = observed(values, "mse")
    found = squared_error(values, low, high)
    factors = np.linspace(0.02, 1, 40)
    lows = values.min() * factors if not one_sided else [0.0]
    grid = [(a, b) for a in lows for b in values.max() * factors]
    best = min(squared_error(values, a, b) for a, b in grid)
    # A step as wide as nearly all values rounds them to zero: not the uniform error assumed.
    assert found <= (1.05 if outlier < 1000 else 1.3) * best
    if outlier < 1000:
        assert found <= squared_error(values, *observed(values, "min-max")) * (1 + 1e-9)


def test_entropy_cuts_a_long_tail_but_not_the_body():
    rng = np.random.default_rng(2)
    values = rng.normal(size=50_000).astype(np.float32)
    low, high = observed(values, "entropy")
    assert low < -2 and high > 2
    values[:5] = 60
    assert observed(values, "entropy")[1] < 60
    uniform = rng.uniform(-1, 1, 50_000)
    low, high = observed(uniform, "entropy")
    assert low == pytest.approx(-1, abs=0.05)
    assert high == pytest.approx(1, abs=0.05)


def test_mse_of_two_levels_is_exact():
    """Every value is a level: no range is better than the one that holds them all."""
    seen = Histogram()
    seen.add(np.array([0, 255] * 10, np.float32))
    assert squared_error(np.array([0, 255.0]), *mse(seen)) < 0.3
