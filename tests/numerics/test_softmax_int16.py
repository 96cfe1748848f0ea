"""int16 softmax by tables: near the real one, and what runtimes refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.softmax_int16 import exp_table, multiplier, reciprocal_table, softmax_int16


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(-20, 0), st.floats(0.1, 3.0))
def test_it_is_near_the_real_function(seed: int, depth: int, exponent: float, beta: float) -> None:
    scale = float(np.float32(2.0**exponent))
    x = np.random.default_rng(seed).integers(-(2**15), 2**15, (4, depth)).astype(np.int16)
    real = x.astype(np.float64) * scale * float(np.float32(beta))
    e = np.exp(real - real.max(axis=-1, keepdims=True))
    want = e / e.sum(axis=-1, keepdims=True)
    got = softmax_int16(x, scale, beta) / 2.0**15
    # What is farther than 10 below the maximum counts as 2 / 2^15.
    assert np.abs(got - want).max() < 2e-4 + 6.2e-5 * depth


def test_tables_hold_their_functions() -> None:
    assert exp_table()[[0, 512]].tolist() == [2, 32767]
    assert reciprocal_table()[[0, 512]].tolist() == [32767, 16384]
    assert (np.diff(exp_table().astype(int)) >= 0).all()
    assert (np.diff(reciprocal_table().astype(int)) <= 0).all()


def test_what_could_leave_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="not below 5"):
        multiplier(5.1, 1.0)
    with pytest.raises(ValueError, match="longer than 65535"):
        softmax_int16(np.zeros((1, 65536), np.int16), 0.1)
