"""kernels/requantize.h gives numerics' answers, without undefined behaviour."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import smidgen
from smidgen.numerics.requantize import requantize
from tests.numerics.definitions import near_ties

pytestmark = pytest.mark.toolchain

KERNELS = Path(smidgen.__file__).parent / "kernels"

# Reads (acc, multiplier, shift) as int32 triples, writes what sm_requantize makes of each, the same
# clamped to int8, and what sm_high_mul makes of multiplier and acc.
HARNESS = """
#include "requantize.h"
#include <stdio.h>
int main(void) {
  int32_t in[3];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    int32_t out[3];
    out[0] = sm_requantize(in[0], in[1], in[2]);
    out[1] = sm_clamp(out[0], -128, 127);
    out[2] = sm_high_mul(in[1], in[0]); /* softmax multiplies by negative numbers, too */
    if (fwrite(out, sizeof out, 1, stdout) != 1) return 1;
  }
  return 0;
}
"""
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-pedantic"]


def cases() -> np.ndarray:
    rng = np.random.default_rng(0)
    multipliers = [0, 1, 2**30, 2**30 + 1, 3 << 29, 2**31 - 1]
    multipliers += rng.integers(2**30, 2**31, 10).tolist()
    triples = [
        (acc, multiplier, shift)
        for shift in range(-31, 31)
        for multiplier in multipliers
        for acc in near_ties(multiplier, shift)
    ]
    n = 50_000
    drawn = np.stack(
        [
            rng.integers(-(2**31), 2**31, n) >> rng.integers(0, 32, n),
            rng.integers(0, 2**31, n),
            rng.integers(-31, 31, n),
        ],
        axis=1,
    )
    return np.concatenate([np.array(triples, np.int64), drawn]).astype(np.int32)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
@pytest.mark.parametrize("long_multiply", [0, 1])
def test_requantize_header(
    compiler: str, optimize: str, long_multiply: int, tmp_path: Path
) -> None:
    source, program = tmp_path / "harness.c", tmp_path / "harness"
    source.write_text(HARNESS)
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    define = f"-DSM_HAS_LONG_MULTIPLY={long_multiply}"
    command = [compiler, optimize, "-std=c99", define, *WARNINGS, *sanitize, f"-I{KERNELS}"]
    subprocess.run([*command, str(source), "-o", str(program)], check=True)
    triples = cases()
    done = subprocess.run([str(program)], input=triples.tobytes(), capture_output=True, check=True)
    assert done.stderr == b""
    got = np.frombuffer(done.stdout, np.int32).reshape(-1, 3)
    want = requantize(triples[:, 0], triples[:, 1], triples[:, 2])
    np.testing.assert_array_equal(got[:, 0], want)
    np.testing.assert_array_equal(got[:, 1], np.clip(want, -128, 127))
    product = triples[:, 0].astype(np.int64) * triples[:, 1]
    np.testing.assert_array_equal(got[:, 2], (product + 2**30) >> 31)
