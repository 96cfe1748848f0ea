"""int16 activations with int8 weights beside int8 ones: what 16 bits buy, and what they cost."""

from __future__ import annotations

import numpy as np

from benchmarks._shared import keep, table
from benchmarks._tasks import TASKS, Task
from smidgen import Dataset, Graph, compile, evaluate, quantize, shrink, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.data import accuracy, decode, to_model
from smidgen.evaluate import Score, real_outputs
from smidgen.interpreter import random_inputs
from smidgen.transforms.quantize import snr_db
from smidgen.verify.runtimes import RuntimeName, RuntimePool

BOARD = "nucleo-l4r5zi"
RECIPES = ("int8", "int16x8")
SAMPLES = 100


def score(real: np.ndarray, data: Dataset) -> Score:
    """The score of a model's outputs for the test samples."""
    assert data.x_test is not None
    if data.y_test is not None:
        return Score("accuracy", accuracy(real, data.y_test), len(real))
    error = float(np.mean(np.square(real.reshape(data.x_test.shape) - data.x_test)))
    return Score("mean squared error", error, len(real))


def shown(found: Score) -> str:
    """A score in a cell."""
    return f"{found.value:.2%}" if found.metric == "accuracy" else f"{found.value:.3f}"


def by_others(pool: RuntimePool, graph: Graph, data: Dataset, runtime: RuntimeName) -> np.ndarray:
    """The outputs of a foreign runtime for all test samples, as real numbers."""
    assert data.x_test is not None
    x = to_model(graph, data.x_test)
    outputs = pool.run(runtime, write_tflite(graph), [x]).outputs[0]
    return decode(graph.output_types[0], outputs)


def row(task: Task, model: Graph, recipe: str) -> tuple[object, ...]:
    """What one recipe makes of one model."""
    data = task.data
    assert data.x_test is not None
    graph, _ = shrink(quantize(model, data, recipe))
    want, ours = real_outputs(model, data.x_test), real_outputs(graph, data.x_test)
    with RuntimePool(timeout=7200) as pool:
        tflm = by_others(pool, graph, data, "tflm")
        litert = by_others(pool, graph, data, "litert_xnnpack")
        x = random_inputs(graph, SAMPLES)
        unlike = int((HostModel(graph).run(x)[0] != pool.run(
            "tflm", write_tflite(graph), x).outputs[0]).sum())  # fmt: skip
    unlike += int((tflm != ours).sum())
    firmware = compile(graph, BOARD)
    run = firmware.run([a[:2] for a in x])
    return (
        task.name,
        recipe,
        f"{snr_db(want, ours):.1f}",
        shown(evaluate(model, data)),
        shown(score(ours, data)),
        shown(score(tflm, data)),
        shown(score(litert, data)),
        firmware.flash_bytes,
        firmware.ram_bytes,
        run.cycles,
        unlike,
    )


def main() -> None:
    rows, judged = [], []
    for make in TASKS.values():
        task = make()
        judged.append(f"{task.name}: {task.judged_on}")
        for recipe in RECIPES:
            rows.append(row(task, task.model(), recipe))
            print(rows[-1], flush=True)
    parts = [
        "Float models quantized without training. Signal to noise of the output in dB against the "
        "float model, and top-1 accuracy (AD: mean squared reconstruction error, lower is better) "
        f"on samples that nothing was chosen on ({'; '.join(judged)}): in float, as compiled C on "
        "this machine, by TensorFlow Lite Micro and by LiteRT as it runs by default. Firmware for "
        f"{BOARD}: bytes that are linked, estimated cycles. Last, the output elements that differ "
        f"from TensorFlow Lite Micro's, on the test samples and on {SAMPLES} random and extreme "
        "inputs.\n",
        table(
            (
                *("model", "recipe", "SNR dB", "float", "C", "TFLM", "LiteRT"),
                *("flash", "RAM", "cycles (est.)", "unlike TFLM's"),
            ),
            rows,
        ),
    ]
    keep("int16", "Sixteen bits an activation", "python -m benchmarks int16", parts)


if __name__ == "__main__":
    main()
