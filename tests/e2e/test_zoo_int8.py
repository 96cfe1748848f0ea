"""int8 models of others, byte for byte as TensorFlow Lite Micro computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen.backends.c.host import HostModel
from smidgen.frontends.tflite import read
from smidgen.interpreter import random_inputs
from smidgen.verify.runtimes import RuntimePool

pytestmark = [pytest.mark.e2e, pytest.mark.oracle, pytest.mark.toolchain]


@pytest.mark.parametrize("name", ["tflm_person_detect_int8", "silabs_kws_on_off_v3"])
def test_compiled_c_is_tflm(name: str, shared: Path, pool: RuntimePool) -> None:
    """LiteRT refuses the first; TensorFlow Lite Micro runs both."""
    path = shared / f"zoo/{name}.tflite"
    graph = read(path)
    x = random_inputs(graph, 20)
    want = pool.run("tflm", path.read_bytes(), x, timeout=300).outputs[0]
    np.testing.assert_array_equal(HostModel(graph, flags=("-O1",)).run(x)[0], want)
