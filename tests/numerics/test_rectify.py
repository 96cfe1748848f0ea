from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.rectify import leaky_relu, relu, rescale
from tests.numerics.single_op import run

EVERY = np.arange(-128, 128).astype(np.int8)
EXPONENTS = st.floats(-12, 8)
ZERO_POINTS = st.integers(-128, 127)


@given(EXPONENTS, ZERO_POINTS, st.floats(-8, 8), ZERO_POINTS)
def test_rectifiers_are_near_the_real_ones(
    exponent: float, zero_point: int, ratio: float, output_zero_point: int
) -> None:
    scale = float(np.float32(2.0**exponent))
    output_scale = float(np.float32(2.0 ** (exponent + ratio)))
    quants = (scale, zero_point, output_scale, output_zero_point)
    x = (EVERY.astype(np.float64) - zero_point) * scale

    def far(got: np.ndarray, real: np.ndarray) -> float:
        want = np.clip(real / output_scale + output_zero_point, -128, 127)
        return float(np.abs(got - want).max())

    assert far(rescale(EVERY, *quants), x) <= 0.76
    assert far(relu(EVERY, *quants), np.maximum(x, 0)) <= 0.76
    leaky = leaky_relu(EVERY, -0.3, *quants)
    assert far(leaky, np.where(x > 0, x, -0.3 * x)) <= 0.76


def test_a_negative_slope_mirrors_its_ties() -> None:
    # -3 * -0.5: the kernel rounds 3 * 0.5 the way it rounds -1.5, then negates.
    x = np.array([-1, -3, -5], np.int8)
    minus = leaky_relu(x, -0.5, 1.0, 0, 1.0, 0)
    plus = leaky_relu(x, 0.5, 1.0, 0, 1.0, 0)
    np.testing.assert_array_equal(minus, -plus)


def test_the_same_scale_changes_nothing() -> None:
    np.testing.assert_array_equal(rescale(EVERY, 0.3, 7, 0.3, 7), EVERY)
    np.testing.assert_array_equal(relu(EVERY, 0.3, 7, 0.3, 7), np.maximum(EVERY, 7))
    np.testing.assert_array_equal(leaky_relu(EVERY, 1.0, 0.3, 7, 0.3, 7), EVERY)


@pytest.mark.oracle
def test_rectifiers_as_tflm() -> None:
    rng = np.random.default_rng(4)
    for _ in range(250):
        scale = np.float32(2.0 ** rng.uniform(-20, 8))
        # Powers of two put every odd number on a tie.
        ratio = rng.choice([rng.uniform(-20, 25), rng.integers(-7, 8)])
        zero_point, output_zero_point = (
            int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) for _ in range(2)
        )
        q = (float(scale), zero_point)
        out = (float(np.float32(scale * 2.0**ratio)), output_zero_point)
        note = f"{q} {out}"
        want = run("QUANTIZE", EVERY, q, "int8", out)
        np.testing.assert_array_equal(rescale(EVERY, *q, *out), want, note)
        want = run("RELU", EVERY, q, "int8", out)
        np.testing.assert_array_equal(relu(EVERY, *q, *out), want, note)
        alpha = float(rng.choice([0.1, 0.01, 0.3, -0.5, 1.5, 0.0, -1.0, 1.0, rng.normal()]))
        want = run("LEAKY_RELU", EVERY, q, "int8", out, ("LeakyReluOptions", {"alpha": alpha}))
        got = leaky_relu(EVERY, alpha, *q, *out)
        np.testing.assert_array_equal(got, want, f"{note} {alpha}")


@pytest.mark.oracle
def test_factors_are_taken_in_float64_as_tflm() -> None:
    """Scales whose float32 quotient is a tie, or is not one, unlike the float64 quotient."""
    rng = np.random.default_rng(5)
    told_apart = 0
    for _ in range(1500):
        output_scale = np.float32(2.0 ** rng.uniform(-20, 8))
        tie = (rng.integers(0, 60) + 0.5) / rng.integers(3, 128)
        scale = np.float32(tie * float(output_scale))
        q, out = (float(scale), 0), (float(output_scale), 0)
        in_float32 = rescale(EVERY, float(scale / output_scale), 0, 1.0, 0)
        if np.array_equal(in_float32, rescale(EVERY, *q, *out)):
            continue
        told_apart += 1
        want = run("RELU", EVERY, q, "int8", out)
        np.testing.assert_array_equal(relu(EVERY, *q, *out), want)
        alpha = float(rng.choice([0.1, 0.3, 1.5]))
        want = run("LEAKY_RELU", EVERY, q, "int8", out, ("LeakyReluOptions", {"alpha": alpha}))
        np.testing.assert_array_equal(leaky_relu(EVERY, alpha, *q, *out), want)
    assert told_apart > 50


def test_rescale_to_other_dtypes() -> None:
    """uint8 is int8 with another zero point; int16 does not clamp where int8 does."""
    unsigned = np.arange(256).astype(np.uint8)
    signed = rescale(unsigned, 0.1, 128, 0.1, 0)
    np.testing.assert_array_equal(signed, EVERY)
    np.testing.assert_array_equal(rescale(EVERY, 0.1, 0, 0.1, 128, "uint8"), unsigned)
    wide = rescale(EVERY, 1.0, 0, 0.01, 0, "int16")
    assert wide.dtype == np.int16
    np.testing.assert_array_equal(wide, EVERY.astype(np.int16) * 100)


@pytest.mark.oracle
def test_rescale_to_and_from_uint8_as_tflm() -> None:
    rng = np.random.default_rng(6)
    unsigned = np.arange(256).astype(np.uint8)
    for _ in range(60):
        scale = float(np.float32(2.0 ** rng.uniform(-20, 8)))
        output_scale = float(np.float32(scale * 2.0 ** rng.integers(-7, 8)))
        small, large = int(rng.integers(-128, 128)), int(rng.integers(0, 256))
        want = run("QUANTIZE", unsigned, (scale, large), "int8", (output_scale, small))
        got = rescale(unsigned, scale, large, output_scale, small)
        np.testing.assert_array_equal(got, want)
        want = run("QUANTIZE", EVERY, (scale, small), "uint8", (output_scale, large))
        got = rescale(EVERY, scale, small, output_scale, large, "uint8")
        np.testing.assert_array_equal(got, want)
