from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.hard_swish import hard_swish_int8
from tests.numerics.single_op import run

EVERY = np.arange(-128, 128).astype(np.int8)


@given(st.floats(-7, -1), st.integers(-100, 100))
def test_hard_swish_is_near_the_real_one(exponent: float, zero_point: int) -> None:
    scale = float(np.float32(2.0**exponent))
    x = (EVERY.astype(np.float64) - zero_point) * scale
    want = np.clip(x * np.clip(x + 3, 0, 6) / 6 / scale - 20, -128, 127)
    assert np.abs(hard_swish_int8(EVERY, scale, zero_point, scale, -20) - want).max() < 1.5


def test_hard_swish_refuses_an_output_scale_the_kernels_refuse() -> None:
    with pytest.raises(ValueError, match="1/128"):
        hard_swish_int8(EVERY, 1.0, 0, 1.0 / 128.0, 0)


@pytest.mark.oracle
def test_hard_swish_as_tflm() -> None:
    rng = np.random.default_rng(3)
    for _ in range(400):
        # Far beyond useful scales: left shifts that saturate, right shifts by 16 and more.
        scale = np.float32(2.0 ** rng.uniform(-30, 12))
        output_scale = np.float32(scale * 2.0 ** rng.uniform(-6.9, 14))
        zero_point, output_zero_point = (
            int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) for _ in range(2)
        )
        quant = (float(scale), zero_point)
        output_quant = (float(output_scale), output_zero_point)
        want = run("HARD_SWISH", EVERY, quant, "int8", output_quant)
        got = hard_swish_int8(EVERY, *quant, *output_quant)
        np.testing.assert_array_equal(got, want, f"{quant} {output_quant}")


@pytest.mark.oracle
def test_hard_swish_as_tflm_where_a_multiplier_is_nearly_a_tie() -> None:
    rng = np.random.default_rng(4)
    for i in range(1500):
        mantissa = (rng.integers(2**14, 2**15) + 0.5) / 2**15
        power = 2.0 ** int(rng.integers(-3, 4))
        output_scale = np.float32(2.0 ** rng.uniform(-8, 2))
        scale = np.float32(mantissa * power * (float(output_scale) if i % 2 else 3 / 256))
        quant, output_quant = (float(scale), 0), (float(output_scale), 0)
        want = run("HARD_SWISH", EVERY, quant, "int8", output_quant)
        got = hard_swish_int8(EVERY, *quant, *output_quant)
        np.testing.assert_array_equal(got, want, f"{quant} {output_quant}")
