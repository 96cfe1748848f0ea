"""The float functions that C has no library for, against numpy in float64."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.numerics.tabulate import erfc

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
NAN, INF = float("nan"), float("inf")

KERNELS = Path(smidgen.__file__).parent / "kernels"
HARNESS = """
#include "math_erfc.h"
#include "math_exp.h"
#include "math_floor.h"
#include "math_fmod.h"
#include "math_log.h"
#include "math_pow.h"
#include "math_sin_cos.h"
#include "math_sqrt.h"
#include "tanh_float32.h"
#include "logistic_float32.h"
#define EACH(name, call) \\
  void name(int32_t n, const float *x, float *y); \\
  void name(int32_t n, const float *x, float *y) { for (int32_t i = 0; i < n; ++i) y[i] = call; }
EACH(run_exp, sm_exp(x[i]))
EACH(run_expm1, sm_expm1(x[i]))
EACH(run_log, sm_log(x[i]))
EACH(run_sqrt, sm_sqrt(x[i]))
EACH(run_sin, sm_sin(x[i]))
EACH(run_cos, sm_cos(x[i]))
EACH(run_erfc, sm_erfc(x[i]))
EACH(run_floor, sm_floor(x[i]))
EACH(run_round, sm_round(x[i]))
#define PAIRS(name, call) \
  void name(int32_t n, const float *x, const float *y, float *z); \
  void name(int32_t n, const float *x, const float *y, float *z) { \
    for (int32_t i = 0; i < n; ++i) z[i] = call; \
  }
PAIRS(run_pow, sm_pow(x[i], y[i]))
PAIRS(run_fmod, sm_fmod(x[i], y[i]))
void run_tanh(int32_t n, const float *x, float *y);
void run_tanh(int32_t n, const float *x, float *y) {
  const sm_tanh_float32_params p = {n};
  sm_tanh_float32(&p, x, y);
}
void run_logistic(int32_t n, const float *x, float *y);
void run_logistic(int32_t n, const float *x, float *y) {
  const sm_logistic_float32_params p = {n};
  sm_logistic_float32(&p, x, y);
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("float")
    (folder / "harness.c").write_text(HARNESS)
    command = ["cc", "-std=c99", "-O2", "-shared", "-fPIC", f"-I{KERNELS}", "harness.c"]
    undefined = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    subprocess.run([*command, *undefined, "-o", "harness.so"], check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "harness.so"))


def call(library: ctypes.CDLL, name: str, x: Any) -> Array:
    x = np.asarray(x).astype(np.float32)
    y = np.empty_like(x)
    run = getattr(library, f"run_{name}")
    run(x.size, x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return y.astype(np.float64)


def call_pair(library: ctypes.CDLL, name: str, x: Any, y: Any) -> Array:
    x, y = (np.asarray(a).astype(np.float32) for a in (x, y))
    z = np.empty_like(x)
    pointers = (a.ctypes.data_as(ctypes.c_void_p) for a in (x, y, z))
    getattr(library, f"run_{name}")(x.size, *pointers)
    return z.astype(np.float64)


def samples(low: float, high: float) -> Array:
    """Numbers from low to high, many of them near zero."""
    rng = np.random.default_rng(0)
    near_zero = np.exp(rng.uniform(-40, 0, 20_000)) * rng.choice((-1, 1), 20_000)
    x = np.concatenate([rng.uniform(low, high, 200_000), near_zero, [0.0, low, high]])
    return x[(x >= low) & (x <= high)].astype(np.float32)


def every_size(low: float, high: float) -> Array:
    """Positive numbers of every order of magnitude from low to high."""
    rng = np.random.default_rng(1)
    x = np.exp(rng.uniform(np.log(low), np.log(high), 200_000))
    return np.concatenate([x, rng.uniform(0.5, 2, 100_000)]).astype(np.float32)


def units(got: Array, want: Array) -> float:
    """The largest error in units in the last place of what is wanted."""
    with np.errstate(over="ignore"):
        return float((np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32))).max())


@pytest.mark.parametrize(
    ("name", "function", "x", "limit"),
    [
        ("exp", np.exp, samples(-87.0, 88.72), 2.0),
        ("expm1", np.expm1, samples(-20.0, 0.0), 3.0),
        ("log", np.log, every_size(1e-44, 3e38), 2.0),
        ("sqrt", np.sqrt, every_size(1e-44, 3e38), 0.501),
        ("sin", np.sin, samples(-20.0, 20.0), 3.0),
        ("cos", np.cos, samples(-20.0, 20.0), 3.0),
        ("sin", np.sin, every_size(1e-6, 3e38), 3.0),
        ("cos", np.cos, every_size(1e-6, 3e38), 3.0),
        ("erfc", erfc, samples(-6.0, 9.0), 8.0),
        ("floor", np.floor, samples(-300.0, 300.0), 0.0),
        ("round", np.rint, samples(-300.0, 300.0), 0.0),
        ("round", np.rint, np.arange(-100, 100) / 2, 0.0),
        ("floor", np.floor, np.arange(-100, 100) / 2, 0.0),
        ("floor", np.floor, every_size(1e5, 3e38), 0.0),
    ],
)
def test_units_in_the_last_place(
    library: ctypes.CDLL, name: str, function: Callable[[Array], Array], x: Array, limit: float
) -> None:
    want = function(x.astype(np.float64))
    assert units(call(library, name, x), want) <= limit


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_reduction_of_multiples_of_a_quarter_turn(library: ctypes.CDLL, name: str) -> None:
    """Next to multiples of pi/2 most bits cancel, whatever the multiple."""
    count = np.unique(np.logspace(0, 8, 20_000).astype(np.int64))
    x = (count * (np.pi / 2)).astype(np.float32)
    assert units(call(library, name, x), getattr(np, name)(x.astype(np.float64))) <= 3.0


def test_pow(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(2)
    x = np.exp(rng.uniform(-88, 88, 100_000)).astype(np.float32)
    y = (rng.uniform(-87, 87, x.size) / np.log(x)).astype(np.float32)  # results that are floats
    assert units(call_pair(library, "pow", x, y), np.power(x.astype(np.float64), y)) <= 2.0
    whole = rng.integers(-9, 10, x.size)
    near = rng.normal(0, 3, x.size).astype(np.float32)
    want = np.power(near.astype(np.float64), whole)
    kept = (np.abs(want) < 1e38) & (np.abs(want) > 1e-37)
    assert units(call_pair(library, "pow", near, whole)[kept], want[kept]) <= 2.0


def test_powers_of_what_is_special(library: ctypes.CDLL) -> None:
    odd = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 1e30, 1e38, INF, -INF, NAN]
    x, y = (a.ravel() for a in np.meshgrid(odd, odd))
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(call_pair(library, "pow", x, y), want, rtol=3e-7)


def test_fmod_is_exact(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(3)
    x, y = (
        (np.exp(rng.uniform(-103, 88, 50_000)) * rng.choice((-1, 1), 50_000)).astype(np.float32)
        for _ in range(2)
    )
    np.testing.assert_array_equal(call_pair(library, "fmod", x, y), np.fmod(x, y))
    odd = [0.0, -0.0, 1.0, -2.5, 1e-45, 3e38, INF, -INF, NAN]
    x, y = (a.ravel().astype(np.float32) for a in np.meshgrid(odd, odd))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(call_pair(library, "fmod", x, y), np.fmod(x, y))


def test_exp_beyond_its_range(library: ctypes.CDLL) -> None:
    got = call(library, "exp", [-87.1, -1e30, -np.inf, 88.8, 1e30, np.inf, np.nan])
    assert got[:3].tolist() == [0.0, 0.0, 0.0]
    assert got[3:6].tolist() == [np.inf] * 3
    assert np.isnan(got[6])


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("log", [0.0, -0.0, -1.0, INF, -INF, NAN], [-INF, -INF, NAN, INF, NAN, NAN]),
        ("sqrt", [0.0, -0.0, -1.0, INF, -INF, NAN], [0.0, -0.0, NAN, INF, NAN, NAN]),
        ("sin", [0.0, INF, -INF, NAN], [0.0, NAN, NAN, NAN]),
        ("cos", [0.0, INF, -INF, NAN], [1.0, NAN, NAN, NAN]),
        ("erfc", [0.0, 30.0, -30.0, INF, -INF, NAN], [1.0, 0.0, 2.0, 0.0, 2.0, NAN]),
        ("floor", [INF, -INF, NAN, -0.5, 8388608.5], [INF, -INF, NAN, -1.0, 8388608.0]),
        ("round", [INF, -INF, NAN, 0.5, 1.5, -2.5], [INF, -INF, NAN, 0.0, 2.0, -2.0]),
    ],
)
def test_what_is_special(
    library: ctypes.CDLL, name: str, x: list[float], want: list[float]
) -> None:
    np.testing.assert_allclose(call(library, name, x), want, rtol=1e-6)


def test_tanh(library: ctypes.CDLL) -> None:
    x = samples(-12.0, 12.0)
    want = np.tanh(x.astype(np.float64))
    assert (np.abs(call(library, "tanh", x) - want) <= 3e-7 * np.abs(want)).all()
    assert call(library, "tanh", [-1e30, -np.inf, 1e30, np.inf]).tolist() == [-1, -1, 1, 1]


def test_logistic(library: ctypes.CDLL) -> None:
    x = samples(-80.0, 80.0)
    want = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert (np.abs(call(library, "logistic", x) - want) <= 4e-7 * want).all()
    assert call(library, "logistic", [1e30, np.inf]).tolist() == [1, 1]
    assert call(library, "logistic", [-1e30, -np.inf]).max() < 1e-37
