"""FULLY_CONNECTED against TensorFlow Lite Micro where its multiplier's last bits matter."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.verify.runtimes import run_tflite


@pytest.mark.oracle
def test_the_product_of_scales_is_taken_in_double(shared):
    """In float32 it moves the multiplier by a few units: 14 of these 1.9 million bytes differ."""
    path = shared / "models" / "mlperf_tiny" / "ad01_int8.tflite"
    x = np.random.default_rng(0).integers(-128, 128, (3000, 640)).astype(np.int8)
    want = run_tflite("tflm", path.read_bytes(), [x]).outputs[0]
    np.testing.assert_array_equal(interpret(read(path), x)[0], want)
