"""int16 logistic and tanh by one table: near the real functions, symmetric, never falling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.numerics.sigmoid_int16 import logistic_int16, multiplier, table, tanh_int16

EVERY = np.arange(-(2**15), 2**15).astype(np.int16)
FUNCTIONS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (logistic_int16, lambda x: (1 + np.tanh(x / 2)) / 2),
    (tanh_int16, np.tanh),
]


@pytest.mark.parametrize(("function", "real"), FUNCTIONS)
@given(exponent=st.floats(-24, 1.4))
def test_it_is_near_the_real_function(
    function: Callable[..., Any], real: Callable[..., Any], exponent: float
) -> None:
    scale = float(np.float32(2.0**exponent))
    got = function(EVERY, scale) / 2.0**15
    assert np.abs(got - real(EVERY * scale)).max() < 1e-4
    assert (np.diff(got) >= 0).all()


def test_the_table_rises_from_a_half_to_one() -> None:
    assert table()[0] == 2**15
    assert table()[255] == 2**16 - 1
    assert (np.diff(table().astype(int)) >= 0).all()


def test_powers_of_two_that_fit_need_no_rounding() -> None:
    assert multiplier(2.0**-12, "logistic") == multiplier(2.0**-12, "tanh") == (3, 0)
    assert multiplier(2.0**-11, "tanh") == (6, 0)
    assert multiplier(2.0**-11, "logistic")[1] > 0


@pytest.mark.parametrize("scale", [2.67, 1e-14])
def test_scales_that_no_runtime_takes_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"not 1e-13 to 2\.66"):
        multiplier(scale, "tanh")
