"""Float models of MLPerf Tiny keep their accuracy in int8, measured on the integer models."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._tasks import TASKS
from benchmarks.quantize import OVERHEAD, holds, quantized
from smidgen import evaluate
from smidgen.data import decode, to_model
from smidgen.evaluate import Score, real_outputs
from smidgen.interpreter import interpret
from smidgen.verify.runtimes import RuntimePool

pytestmark = [pytest.mark.e2e, pytest.mark.oracle, pytest.mark.toolchain]

# In float, on all test samples; `python -m benchmarks quantize` measures it.
FLOAT = {"IC": Score("accuracy", 0.8719, 10_000), "KWS": Score("accuracy", 0.9190, 1000)}
# VWW: 88 tensors and 1,003 channels need more than that for scales and shapes alone.
LARGER = {"VWW": 15_200}


@pytest.mark.parametrize("name", TASKS)
def test_int8_keeps_the_promised_accuracy(name):
    task = TASKS[name]()
    made = quantized(task)
    before = FLOAT.get(name) or evaluate(made.float_model, task.data)
    after = evaluate(made.integer, task.data)
    assert after.samples == before.samples == len(task.data.x_test)
    assert holds(name, before, after), f"{before}, {after}"
    assert made.overhead <= LARGER.get(name, OVERHEAD)
    # What was judged is what others compute from the file.
    x = to_model(made.integer, task.data.x_test[:50])
    ours = real_outputs(made.integer, task.data.x_test[:50])
    with RuntimePool(timeout=250) as pool:
        tflm = pool.run("tflm", made.file, [x]).outputs[0]
        inside = pool.run("litert_ref", made.file, [x[:2]], intermediates=True).tensors
    np.testing.assert_array_equal(decode(made.integer.output_types[0], tflm), ours)
    assert inside is not None
    want: dict[str, np.ndarray] = {}
    interpret(made.integer, x[:2], observe=want.__setitem__)
    for node, tensor in zip(made.integer.nodes, inside.values(), strict=True):
        if node.op.name == "FULLY_CONNECTED":
            break  # LiteRT rounds its results once, TFLM twice
        np.testing.assert_array_equal(tensor, want[node.outputs[0]])
