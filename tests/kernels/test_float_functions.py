"""The float functions that C has no library for, against numpy in float64."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

import smidgen

pytestmark = pytest.mark.toolchain

KERNELS = Path(smidgen.__file__).parent / "kernels"
HARNESS = """
#include "exp_float32.h"
#include "tanh_float32.h"
#include "logistic_float32.h"
void run(int which, int32_t n, const float *x, float *y);
void run(int which, int32_t n, const float *x, float *y) {
  const sm_tanh_float32_params t = {n};
  const sm_logistic_float32_params l = {n};
  if (which == 1) { sm_tanh_float32(&t, x, y); return; }
  if (which == 2) { sm_logistic_float32(&l, x, y); return; }
  for (int32_t i = 0; i < n; ++i) y[i] = sm_exp_float32(x[i]);
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("float")
    (folder / "harness.c").write_text(HARNESS)
    command = ["cc", "-std=c99", "-O2", "-shared", "-fPIC", f"-I{KERNELS}", "harness.c"]
    subprocess.run([*command, "-o", "harness.so"], check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "harness.so"))


def call(library: ctypes.CDLL, which: int, x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float32)
    y = np.empty_like(x)
    library.run(which, x.size, x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return y.astype(np.float64)


def samples(low: float, high: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    near_zero = np.exp(rng.uniform(-40, 0, 20_000)) * rng.choice((-1, 1), 20_000)
    x = np.concatenate([rng.uniform(low, high, 200_000), near_zero, [0.0, low, high]])
    return x[(x >= low) & (x <= high)].astype(np.float32)


def test_exp(library: ctypes.CDLL) -> None:
    x = samples(-87.0, 88.0)
    want = np.exp(x.astype(np.float64))
    error = np.abs(call(library, 0, x) - want) / np.spacing(want.astype(np.float32))
    assert error.max() < 2.0


def test_exp_beyond_its_range(library: ctypes.CDLL) -> None:
    got = call(library, 0, np.array([-87.1, -1e30, -np.inf, 88.5, 1e30, np.inf, np.nan]))
    assert got[:3].tolist() == [0.0, 0.0, 0.0]
    assert np.allclose(got[3:6], np.exp(88.0), rtol=1e-6)
    assert np.isnan(got[6])


def test_tanh(library: ctypes.CDLL) -> None:
    x = samples(-12.0, 12.0)
    want = np.tanh(x.astype(np.float64))
    assert (np.abs(call(library, 1, x) - want) <= 3e-7 * np.abs(want)).all()
    assert call(library, 1, np.array([-1e30, -np.inf, 1e30, np.inf])).tolist() == [-1, -1, 1, 1]


def test_logistic(library: ctypes.CDLL) -> None:
    x = samples(-80.0, 80.0)
    want = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert (np.abs(call(library, 2, x) - want) <= 4e-7 * want).all()
    assert call(library, 2, np.array([1e30, np.inf])).tolist() == [1, 1]
    assert call(library, 2, np.array([-1e30, -np.inf])).max() < 1e-37
