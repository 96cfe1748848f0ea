"""Short lines against the staircase they stand for, at every sum."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.numerics.requantize import quantize_multipliers, requantize
from smidgen.numerics.short_line import MAX_SUM, find_short_lines


def layer(seed, channels, reals):
    """Multipliers, shifts, biases and ends of sums of channels that reach about all outputs."""
    rng = np.random.default_rng(seed)
    multiplier, shift = quantize_multipliers(reals)
    bias = np.round(rng.uniform(-0.5, 0.5, channels) * 256 / reals).astype(np.int64)
    ends = np.round(rng.uniform(0.2, 1.5, (2, channels)) * 256 / reals).astype(np.int64)
    return multiplier, shift, bias, -ends[0], ends[1]


@pytest.mark.parametrize("point", [-128, -100])
@pytest.mark.parametrize("top", [127, 40])
def test_lines_give_what_rounding_twice_gives(point, top):
    rng = np.random.default_rng(300 + point + top)
    reals = 2.0 ** rng.uniform(-11, -6, 24)
    multiplier, shift, bias, low, high = layer(point + 400, 24, reals)
    bounds = (point, top)
    lines = find_short_lines(multiplier, shift, bias, low, high, point, bounds)
    assert lines is not None
    for c in range(24):
        sums = np.arange(low[c], high[c] + 1)
        scaled = requantize(sums + bias[c], multiplier[c], shift[c], rounding="double")
        product = sums * int(lines.multiplier[c])
        # What kernels compute leaves int32 nowhere.
        assert np.abs((product >> 16) + int(lines.addend[c])).max() < 2**31
        assert (product >> 32).max() < 2**15 and lines.multiplier[c] >= 0
        got = ((product >> 16) + int(lines.addend[c])) >> lines.shift
        want = np.clip(scaled.astype(np.int64) + point, *bounds)
        np.testing.assert_array_equal(np.clip(got, *bounds), want)


def test_channels_with_one_answer_take_part():
    """A dead channel's factor may be anything, and its bias, too."""
    reals = np.array([2.0**-9, 2.0**-3, 2.0**-30])
    multiplier, shift = quantize_multipliers(reals)
    bias, low, high = np.array([50, 9000, -7]), np.array([-9000, 0, -9]), np.array([9000, 0, 9])
    lines = find_short_lines(multiplier, shift, bias, low, high, -128, (-128, 127))
    assert lines is not None
    assert np.clip(lines.at(np.array([0, 0, 9])), -128, 127).tolist()[1:] == [127, -128]


def test_equal_factors_have_one_multiplier():
    reals = np.full(9, 0.0021)
    multiplier, shift, bias, low, high = layer(8, 9, reals)
    lines = find_short_lines(multiplier, shift, bias, low, high, -128, (-128, 127))
    assert lines is not None
    assert len(set(lines.multiplier.tolist())) == 1


def test_ties_below_the_zero_point_have_no_line():
    multiplier, shift = quantize_multipliers(np.array([2.0**-9]))
    none, ends = np.array([0]), np.array([100000])
    assert find_short_lines(multiplier, shift, none, -ends, ends, 0, (-128, 127)) is None
    assert find_short_lines(multiplier, shift, none, -ends, ends, 0, (0, 127)) is not None


def test_sums_over_24_bits_have_none():
    multiplier, shift = quantize_multipliers(np.array([2.0**-9]))
    none, ends = np.array([0]), np.array([MAX_SUM])
    assert find_short_lines(multiplier, shift, none, -ends, ends, -128, (-128, 127)) is None
    ends = np.array([2**31 - 1])
    assert find_short_lines(multiplier, shift, ends, none, none + 1, -128, (-128, 127)) is None
