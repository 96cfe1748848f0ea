from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.softmax import MAX_DEPTH, exp_table, min_input_scale, softmax_int8
from tests.numerics.single_op import run

SCALES = st.floats(-20, 10).map(lambda e: float(np.float32(2.0**e)))


@given(SCALES, st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_softmax_is_near_the_real_one(scale: float, depth: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-128, 128, (3, depth)).astype(np.int8)
    real = x.astype(np.float64) * scale
    exps = np.exp(real - real.max(axis=1, keepdims=True))
    want = exps / exps.sum(axis=1, keepdims=True) * 256 - 128
    got = softmax_int8(x, scale)
    assert np.abs(got - np.minimum(want, 127)).max() <= 0.51


def test_the_table_ends_where_the_kernel_stops_looking() -> None:
    assert len(exp_table(0.001)) == 256
    assert len(exp_table(1.0)) == 16  # the scaled distance must stay under 31/2 of 5 bits
    assert len(exp_table(1e9)) == 1
    assert exp_table(1e9).tolist() == [2**31 - 1]


def test_a_long_row_of_equals() -> None:
    row = np.zeros((1, MAX_DEPTH), np.int8)
    assert set(softmax_int8(row, 0.1).ravel().tolist()) == {-128}


def test_softmax_refuses() -> None:
    with pytest.raises(ValueError, match="longer than"):
        softmax_int8(np.zeros((1, MAX_DEPTH + 1), np.int8), 0.1)
    with pytest.raises(ValueError, match="not above"):
        exp_table(min_input_scale(1.0))
    with pytest.raises(ValueError, match="not above"):
        exp_table(1.0, beta=-1.0)
    assert len(exp_table(min_input_scale(1.0) * 1.001)) == 256


@pytest.mark.oracle
def test_softmax_as_tflm() -> None:
    rng = np.random.default_rng(5)
    for i in range(120):
        depth = int(rng.choice([1, 2, 3, 10, 67, 300]))
        scale = float(np.float32(2.0 ** rng.uniform(-25, 12)))
        beta = float(np.float32(rng.choice([1.0, 0.5, 2.0, 1.7])))
        spread = 128 if i % 2 else 3
        x = rng.integers(-spread, spread, (2, 3, depth)).astype(np.int8)
        want = run(
            "SOFTMAX", x, (scale, 5), "int8", (1 / 256, -128), ("SoftmaxOptions", {"beta": beta})
        )
        np.testing.assert_array_equal(softmax_int8(x, scale, beta), want, f"{scale} {beta}")


@pytest.mark.oracle
def test_every_distance_and_a_sum_at_each_power_of_two_as_tflm() -> None:
    for scale in (0.01, 0.05, 0.1, 0.4, 1.0, 3.9):
        pairs = np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1).astype(np.int8)
        options = ("SoftmaxOptions", {"beta": 1.0})
        want = run("SOFTMAX", pairs, (scale, 0), "int8", (1 / 256, -128), options)
        np.testing.assert_array_equal(softmax_int8(pairs, scale), want)
    for depth in (2, 4, 8, 255, 256, 257, 511):
        x = np.zeros((1, depth), np.int8)
        want = run("SOFTMAX", x, (0.1, 0), "int8", (1 / 256, -128), options)
        np.testing.assert_array_equal(softmax_int8(x, 0.1), want)
