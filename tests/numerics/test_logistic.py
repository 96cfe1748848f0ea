from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.logistic import MIN_INPUT_SCALE, logistic_int8
from tests.numerics.single_op import run

EVERY = np.arange(-128, 128).astype(np.int8)


@given(st.floats(-20, -0.01), st.integers(-128, 127))
def test_logistic_is_near_the_real_one(exponent: float, zero_point: int) -> None:
    scale = float(np.float32(2.0**exponent))
    x = np.clip((EVERY.astype(np.float64) - zero_point) * scale, -700, 700)
    want = 256 / (1 + np.exp(-x)) - 128
    assert np.abs(logistic_int8(EVERY, scale, zero_point) - np.minimum(want, 127)).max() <= 0.51


def test_logistic_refuses_a_scale_the_kernels_cannot_shift_by() -> None:
    assert logistic_int8(EVERY, MIN_INPUT_SCALE, 0).tolist() == [0] * 256
    with pytest.raises(ValueError, match="below"):
        logistic_int8(EVERY, MIN_INPUT_SCALE / 2, 0)


@pytest.mark.oracle
def test_logistic_as_tflm() -> None:
    rng = np.random.default_rng(1)
    scales = [*(2.0 ** rng.uniform(-28, 12, 150)), 2.0**-28, 4.0, 7.99, 8.0, 8.01, 16.0]
    for scale in np.float32(scales).astype(float):
        for zero_point in (-128, 127, int(rng.integers(-128, 128))):
            want = run("LOGISTIC", EVERY, (scale, zero_point), "int8", (1 / 256, -128))
            np.testing.assert_array_equal(
                logistic_int8(EVERY, scale, zero_point), want, f"{scale} {zero_point}"
            )
