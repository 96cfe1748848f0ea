"""Memory plans for the interpreter: small, and followed without harm."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.backends.tflite import plan_for_tflm, write_tflite
from smidgen.frontends.tflite import read
from smidgen.verify.runtimes import RuntimePool


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("file", "largest"), [("vww_96_int8.tflite", 55_296), ("kws_ref_model_int8.tflite", 16_016)]
)
def test_the_interpreter_follows_the_smallest_plan(shared, file, largest):
    graph = read(shared / "models" / "mlperf_tiny" / file)
    plan = plan_for_tflm(graph)
    assert max(plan[n] + graph.type(n).bytes for n in plan) <= largest
    assert all(offset % 16 == 0 for offset in plan.values())
    shape = (5, *graph.input_types[0].shape[1:])
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    with RuntimePool() as pool:
        free = pool.run("tflm", write_tflite(graph), [x]).outputs[0]
        planned = pool.run("tflm", write_tflite(graph, offline_memory_plan=plan), [x]).outputs[0]
    np.testing.assert_array_equal(planned, free)
