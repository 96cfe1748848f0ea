"""Planes against the sums they stand for, at every pair of operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.numerics.plane import BYTES, SHIFT, find_plane
from smidgen.numerics.requantize import quantize_multiplier, requantize

Array = np.ndarray[Any, Any]
INT32 = np.iinfo(np.int32)


def sums(
    scales: tuple[float, float, float], points: tuple[int, int, int], low: int = -128, sign: int = 1
) -> tuple[Array, tuple[float, float]]:
    """TFLM's sums of all pairs, and the slopes of the real ones. Written out, not shared."""
    twice = 2 * max(scales[:2])
    factors = [quantize_multiplier(s / twice) for s in scales[:2]]
    a, b = (
        requantize((BYTES - point) << 20, *factor).astype(np.int64)
        for point, factor in zip(points, factors, strict=False)
    )
    total = requantize(
        a[:, None] + sign * b, *quantize_multiplier(twice / ((1 << 20) * scales[2]))
    ).astype(np.int64)
    slopes = scales[0] / scales[2], sign * scales[1] / scales[2]
    return np.clip(total + points[2], low, 127), slopes


def float32(*values: float) -> tuple[Any, ...]:
    return tuple(float(np.float32(v)) for v in values)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("relu", [False, True])
def test_nearly_all_sums_are_planes(sign: int, relu: bool) -> None:
    rng = np.random.default_rng(10 + relu)
    found = 0
    for _ in range(60):
        a, b = rng.uniform(0.01, 0.1, 2)
        out = rng.uniform(0.5, 1.2) * (a + b)
        points = (
            *rng.integers(-128, 128, 2).tolist(),
            -128 if relu else int(rng.integers(-128, 128)),
        )
        want, slopes = sums(float32(a, b, out), points, sign=sign)
        plane = find_plane(want, slopes, points[:2], (-128, 127))
        if plane is None:
            continue
        found += 1
        np.testing.assert_array_equal(plane(BYTES[:, None], BYTES), want)
        # No part of the sum leaves int32, in the order in which C adds it up.
        for part in (
            BYTES * plane.a_multiplier,
            BYTES * plane.b_multiplier,
            BYTES * plane.a_multiplier + plane.addend,
            (BYTES * plane.a_multiplier)[:, None] + plane.addend + BYTES * plane.b_multiplier,
        ):
            assert part.min() >= INT32.min and part.max() <= INT32.max
    assert found >= 57


def test_ties_that_no_plane_rounds_both_ways_look_at_the_sign() -> None:
    """Halves, quarters and eighths of a unit: negative ties go down, others up."""
    want, slopes = sums((0.125, 0.015625, 0.125), (44, 18, -34))
    plane = find_plane(want, slopes, (44, 18), (-128, 127))
    assert plane is not None and plane.rounding is not None
    np.testing.assert_array_equal(plane(BYTES[:, None], BYTES), want)


def test_a_slightly_steeper_plane_rounds_ties_both_ways() -> None:
    want, slopes = sums((0.5, 0.5, 1.0), (0, 0, 0))
    plane = find_plane(want, slopes, (0, 0), (-128, 127))
    assert plane is not None and plane.rounding is None
    assert plane.a_multiplier > 1 << (SHIFT - 1)
    np.testing.assert_array_equal(plane(BYTES[:, None], BYTES), want)


@pytest.mark.parametrize("at", [(0, 3), (128, 128), (200, 77), (255, 90)])
def test_one_pair_that_disagrees_is_enough(at: tuple[int, int]) -> None:
    want, slopes = sums(float32(0.02137, 0.03451, 0.04987), (-3, 5, 7))
    bounds = (-128, 127)
    assert find_plane(want, slopes, (-3, 5), bounds) is not None
    want[at] += 1
    assert find_plane(want, slopes, (-3, 5), bounds) is None


def test_what_an_activation_cuts_off_is_left_to_it() -> None:
    want, slopes = sums(float32(0.02137, 0.03451, 0.02987), (-3, 5, 7), low=7)
    plane = find_plane(want, slopes, (-3, 5), (7, 127))
    assert plane is not None
    np.testing.assert_array_equal(np.maximum(plane(BYTES[:, None], BYTES), 7), want)


@pytest.mark.parametrize("scales", [(1.0, 1.0, 0.2), (1.0, 0.01, 0.2), (0.01, 1.0, 0.24)])
def test_sums_that_would_leave_int32_have_no_plane(scales: tuple[float, float, float]) -> None:
    want, slopes = sums(float32(*scales), (0, 0, 0))
    assert find_plane(want, slopes, (0, 0), (-128, 127)) is None


def test_ties_decided_by_the_rounding_of_operands_have_no_plane() -> None:
    """Scales in round numbers make many ties, and the last bits of either operand decide them."""
    want, slopes = sums(float32(0.021, 0.034, 0.05), (-3, 5, 7))
    assert find_plane(want, slopes, (-3, 5), (-128, 127)) is None


def test_outputs_that_never_change_have_a_plane() -> None:
    want = np.full((256, 256), -128)
    plane = find_plane(want, (1e-4, 1e-4), (0, 0), (-128, 127))
    assert plane is not None
    np.testing.assert_array_equal(plane(BYTES[:, None], BYTES), want)
