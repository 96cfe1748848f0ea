from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.affine import (
    activation_range,
    dequantize,
    dtype_range,
    quantize,
    round_half_away,
)
from tests.numerics.definitions import half_away
from tests.numerics.single_op import run

SCALES = st.floats(-20, 10).map(lambda e: float(np.float32(2.0**e)))
ZERO_POINTS = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))


def test_round_half_away_at_near_ties() -> None:
    ties = np.arange(-300, 300, dtype=np.float32) + np.float32(0.5)
    under = np.nextafter(ties, np.float32(0))
    np.testing.assert_array_equal(round_half_away(ties), np.trunc(ties) + np.sign(ties))
    np.testing.assert_array_equal(round_half_away(under), np.trunc(ties))
    np.testing.assert_array_equal(round_half_away(-under), -np.trunc(ties))


@given(st.floats(width=32, min_value=-(2.0**30), max_value=2.0**30))
def test_round_half_away_is_its_definition(x: float) -> None:
    assert float(round_half_away(np.float32(x))) == half_away(Fraction(x))


@pytest.mark.parametrize("dtype", ["int4", "int8", "uint8", "int16", "int32"])
def test_quantize_clamps_to_the_dtype(dtype: str) -> None:
    low, high = dtype_range(dtype)
    got = quantize([-np.inf, np.inf, -1e30, 1e30, np.nan], 1e-3, 1, dtype)
    assert got.tolist() == [low, high, low, high, 1]
    assert got.dtype == ("int8" if dtype == "int4" else dtype)


def test_quantize_by_channel() -> None:
    weights = np.array([[1.0, -1.0], [0.5, 0.25]], np.float32)
    got = quantize(weights, np.array([0.5, 0.125], np.float32), 0, "int8")
    assert got.tolist() == [[2, -8], [1, 2]]


def test_quantize_divides_in_float32() -> None:
    # In float64 the quotient is just under the tie, in float32 it is the tie.
    real, scale = np.float32(0.13), np.float32(0.02)
    assert float(real) / float(scale) < 6.5
    assert quantize(real, scale, 0, "int8") == 7


@given(SCALES, ZERO_POINTS)
def test_dequantize_undoes_quantize(scale: float, zero_point: int) -> None:
    q = np.arange(-128, 128).astype(np.int8)
    real = dequantize(q, scale, zero_point)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(quantize(real, scale, zero_point, "int8"), q)


@pytest.mark.parametrize(
    ("activation", "want"),
    [
        ("NONE", (-128, 127)),
        ("RELU", (10, 127)),
        ("RELU_N1_TO_1", (0, 20)),
        ("RELU6", (10, 70)),
    ],
)
def test_activation_range(activation: str, want: tuple[int, int]) -> None:
    assert activation_range(activation, 0.1, 10, "int8") == want


def test_activation_range_stays_in_the_dtype() -> None:
    assert activation_range("RELU6", 1e-5, 0, "int8") == (0, 127)
    assert activation_range("RELU6", 1e-5, -128, "uint8") == (0, 255)
    assert activation_range("RELU", 1.0, -128, "int16") == (-128, 32767)


def test_activation_range_refuses() -> None:
    with pytest.raises(ValueError, match="TANH"):
        activation_range("TANH", 0.1, 0, "int8")
    with pytest.raises(ValueError, match="too small"):
        activation_range("RELU6", 1e-12, 0, "int8")
    with pytest.raises(ValueError, match="float32"):
        activation_range("NONE", 0.1, 0, "float32")


@pytest.mark.oracle
def test_quantize_and_dequantize_as_tflm() -> None:
    rng = np.random.default_rng(7)
    every = np.arange(-128, 128).astype(np.int8)
    for _ in range(60):
        scale = float(np.float32(2.0 ** rng.uniform(-20, 10)))
        zero_point = int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))
        ties = ((rng.integers(-300, 300, 256) + 0.5) * scale).astype(np.float32)
        x = np.concatenate([ties, np.nextafter(ties, np.float32(0)), -ties, ties * 1e6])
        want = run("QUANTIZE", x, None, "int8", (scale, zero_point))
        np.testing.assert_array_equal(quantize(x, scale, zero_point, "int8"), want)
        want = run("DEQUANTIZE", every, (scale, zero_point), "float32", None)
        np.testing.assert_array_equal(dequantize(every, scale, zero_point), want)
