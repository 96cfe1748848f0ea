"""Lines against the staircase they stand for, at every accumulator."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.numerics.line import SHIFT, find_lines, staircase
from smidgen.numerics.requantize import quantize_multipliers, requantize


def outputs(acc, multiplier, shift, point, bounds):
    scaled = requantize(acc, multiplier, shift, rounding="double").astype(np.int64)
    return np.clip(scaled + point, *bounds)


@pytest.mark.parametrize("point", [-128, -100, 3])
@pytest.mark.parametrize("top", [127, 40])
def test_a_line_gives_what_rounding_twice_gives(point, top):
    rng = np.random.default_rng(200 + point + top)
    reals = 2.0 ** rng.uniform(-11, -5, 24)
    multiplier, shift = quantize_multipliers(reals)
    ends = np.round(rng.uniform(0.2, 1.5, (2, 24)) * 256 / reals).astype(np.int64)
    low, high = -ends[0], ends[1]
    bounds = (point, top)
    found = 0
    for c in range(24):
        one = slice(c, c + 1)
        lines = find_lines(multiplier[one], shift[one], low[one], high[one], point, bounds)
        if lines is None:
            continue
        found += 1
        acc = np.arange(low[c], high[c] + 1)
        product = (256 * acc + int(lines[0][0])) * int(lines[1][0])
        got = np.clip(np.clip(product >> SHIFT, -128, 127), *bounds)
        np.testing.assert_array_equal(got, outputs(acc, multiplier[c], shift[c], point, bounds))
    assert found >= 20  # a few have none: they are left to the exact way


def test_a_short_piece_far_from_zero_has_a_line():
    """Such as a channel that training has all but switched off: its bias is what it gives."""
    multiplier, shift = np.array([2116528314, 1827606788]), np.array([-16, -15])
    low, high = np.array([573676, 557653]), np.array([749116, 700708])
    lines = find_lines(multiplier, shift, low, high, -128, (-128, 127))
    assert lines is not None
    for c in range(2):
        acc = np.arange(low[c], high[c] + 1)
        sums = 256 * acc + lines[0][c]
        assert np.abs(sums).max() < 2**31
        want = outputs(acc, multiplier[c], shift[c], -128, (-128, 127))
        np.testing.assert_array_equal(np.clip(sums * lines[1][c] >> SHIFT, -128, 127), want)


def test_ties_below_the_zero_point_have_no_line():
    """They are rounded down, those above up: no single line does both."""
    multiplier, shift = quantize_multipliers(np.array([2.0**-9]))
    ends = np.array([100000])
    assert find_lines(multiplier, shift, -ends, ends, 0, (-128, 127)) is None
    assert find_lines(multiplier, shift, -ends, ends, 0, (0, 127)) is not None


def test_a_factor_too_large_for_the_line_has_none():
    multiplier, shift = quantize_multipliers(np.array([0.25]))
    ends = np.array([2000])
    assert find_lines(multiplier, shift, -ends, ends, -128, (-128, 127)) is None


def test_the_staircase_says_where_each_value_begins():
    multiplier, shift = quantize_multipliers(np.array([0.01, 0.3]))
    low, high = np.array([-700, -20]), np.array([900, 50])
    targets = np.arange(-9, 20)
    steps = staircase(multiplier, shift, low, high, targets)
    for c in range(2):
        acc = np.arange(low[c], high[c] + 1)
        values = requantize(acc, multiplier[c], shift[c], rounding="double")
        for target, step in zip(targets, steps[c], strict=True):
            reached = acc[values >= target]
            assert step == (reached[0] if len(reached) else high[c] + 1)
