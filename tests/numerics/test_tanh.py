from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.tanh import MIN_INPUT_SCALE, tanh_int8
from tests.numerics.single_op import run

EVERY = np.arange(-128, 128).astype(np.int8)


@given(st.floats(-20, -0.01), st.integers(-128, 127))
def test_tanh_is_near_the_real_one(exponent: float, zero_point: int) -> None:
    scale = float(np.float32(2.0**exponent))
    want = 128 * np.tanh((EVERY.astype(np.float64) - zero_point) * scale)
    assert np.abs(tanh_int8(EVERY, scale, zero_point) - np.minimum(want, 127)).max() <= 0.51


def test_tanh_of_zero_at_a_huge_scale_is_what_the_kernels_make_of_it() -> None:
    # From scale 8 on not even zero lies inside the radius, and its first comparison wins.
    assert tanh_int8(np.array([-1, 0, 1], np.int8), 8.0, 0).tolist() == [-128, -128, 127]
    assert tanh_int8(np.array([-1, 0, 1], np.int8), 7.9, 0).tolist() == [-128, 0, 127]


def test_tanh_refuses_a_scale_the_kernels_cannot_shift_by() -> None:
    with pytest.raises(ValueError, match="below"):
        tanh_int8(EVERY, MIN_INPUT_SCALE / 2, 0)


@pytest.mark.oracle
def test_tanh_as_tflm() -> None:
    rng = np.random.default_rng(2)
    scales = [*(2.0 ** rng.uniform(-28, 12, 150)), 2.0**-28, 4.0, 7.99, 8.0, 8.01, 16.0]
    for scale in np.float32(scales).astype(float):
        for zero_point in (-128, 127, int(rng.integers(-128, 128))):
            want = run("TANH", EVERY, (scale, zero_point), "int8", (1 / 128, 0))
            np.testing.assert_array_equal(
                tanh_int8(EVERY, scale, zero_point), want, f"{scale} {zero_point}"
            )
