from __future__ import annotations

import numpy as np

from smidgen.numerics.sigmoid_table import TABLE, kernel_table, logistic_int16, prepare, tanh_int16

EVERY = np.arange(-32768, 32768).astype(np.int16)
REAL = EVERY / 4096  # the Q3.12 numbers that gates are


def test_the_table_is_the_logistic_function_within_two_units() -> None:
    exact = 65536 / (1 + np.exp(-np.arange(256) / 24))
    assert np.abs(TABLE - exact).max() < 2
    assert (np.diff(TABLE) >= 0).all()
    np.testing.assert_array_equal(kernel_table().astype(np.int32) + 32768, TABLE)


def test_functions_are_close_everywhere_and_never_fall() -> None:
    for function, exact in ((logistic_int16, 1 / (1 + np.exp(-REAL))), (tanh_int16, np.tanh(REAL))):
        got = function(prepare(EVERY)).astype(np.int32)
        assert np.abs(got / 32768 - exact).max() < 2.0**-12
        assert (np.diff(got) >= 0).all()


def test_other_scales() -> None:
    wide = prepare(EVERY, 3, 3)  # Q0.15
    assert np.abs(tanh_int16(wide) / 32768 - np.tanh(EVERY / 32768)).max() < 2.0**-12
    high = prepare(EVERY, 0, 2)  # Q5.10
    assert np.abs(tanh_int16(high) / 32768 - np.tanh(EVERY / 1024)).max() < 2.0**-11
