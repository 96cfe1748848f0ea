"""The fixed-point functions against real arithmetic; bit-exactness is tested through the ops."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.numerics.fixed_point import (
    exp_on_negative_values,
    logistic,
    one_minus_x_over_one_plus_x,
    one_over_one_plus_x,
    reciprocal,
    saturating_shift_left,
    tanh,
)

Q31 = 2.0**31


def raw_values(integer_bits: int, largest: float) -> np.ndarray:
    rng = np.random.default_rng(integer_bits)
    limit = int(largest * 2.0 ** (31 - integer_bits))
    edges = [0, 1, 2, 3, 1 << 24, (1 << 24) - 1, (1 << 24) + 1, limit - 1, limit]
    return np.concatenate([edges, rng.integers(0, limit, 2000)]).astype(np.int64)


@pytest.mark.parametrize("integer_bits", [0, 1, 2, 3, 4, 5])
def test_exp(integer_bits: int) -> None:
    raw = -raw_values(integer_bits, 0.99 * 2**integer_bits)
    want = np.exp(raw / 2.0 ** (31 - integer_bits))
    got = exp_on_negative_values(raw, integer_bits)
    assert np.abs(got / Q31 - want).max() < 3e-7
    assert got.min() >= 0
    assert got.max() == 2**31 - 1


def test_reciprocals_of_one_plus_x() -> None:
    raw = np.append(raw_values(0, 0.999), 2**31 - 1)
    x = raw / Q31
    assert np.abs(one_over_one_plus_x(raw) / Q31 - 1 / (1 + x)).max() < 1e-8
    assert np.abs(one_minus_x_over_one_plus_x(raw) / Q31 - (1 - x) / (1 + x)).max() < 1e-8


@pytest.mark.parametrize("integer_bits", [3, 4])
def test_logistic_and_tanh(integer_bits: int) -> None:
    raw = raw_values(integer_bits, 0.99 * 2**integer_bits)
    raw = np.concatenate([raw, -raw])
    x = raw / 2.0 ** (31 - integer_bits)
    assert np.abs(logistic(raw, integer_bits) / Q31 - 1 / (1 + np.exp(-x))).max() < 2e-7
    assert np.abs(tanh(raw, integer_bits) / Q31 - np.tanh(x)).max() < 4e-7
    assert logistic([0], integer_bits).tolist() == [1 << 30]
    assert tanh([0], integer_bits).tolist() == [0]


def test_reciprocal() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([[1, 2, 3, 2**31 - 1, 2**30], 2**19 + np.array([-1, 0, 1])])
    x = np.concatenate([x, rng.integers(1, 2**31, 2000)]).astype(np.int64)
    scale, bits = reciprocal(x, integer_bits=12)
    assert scale.min() >= 2**30 - 8
    assert scale.max() <= 2**31 - 1
    real = x / 2.0**19
    assert np.abs(scale / Q31 * 2.0**-bits * real - 1).max() < 1e-8
    with pytest.raises(ValueError, match="no positive reciprocal"):
        reciprocal([5, 0], 12)


def test_saturating_shift_left() -> None:
    x = [2**29 - 1, 2**29, -(2**29), -(2**29) - 1, 0, 2**31 - 1]
    want = [2**31 - 4, 2**31 - 1, -(2**31), -(2**31), 0, 2**31 - 1]
    assert saturating_shift_left(x, 2).tolist() == want
