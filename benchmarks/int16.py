"""int16 activations with int8 weights beside int8 ones: what 16 bits buy, and what they cost."""

from __future__ import annotations

import numpy as np

from benchmarks._shared import keep, table
from benchmarks._tasks import TASKS, Task
from smidgen import Dataset, Graph, compile, quantize, shrink, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.data import accuracy, to_model
from smidgen.evaluate import Score, real_outputs
from smidgen.interpreter import random_inputs
from smidgen.transforms.quantize import snr_db
from smidgen.verify.runtimes import RuntimeName, RuntimePool

BOARD = "nucleo-l4r5zi"
RECIPES = ("int8", "int16x8")
RUNTIMES: tuple[RuntimeName, ...] = ("tflm", "litert_ref")
CHECKED = 1000  # test samples, at most, that other runtimes compute as well
RANDOM = 100


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


def unlike(pool: RuntimePool, graph: Graph, x: list[np.ndarray], runtime: RuntimeName) -> int:
    """How many output elements differ from a foreign runtime's."""
    want = pool.run(runtime, write_tflite(graph), x).outputs[0]
    return int((HostModel(graph).run(x)[0] != want).sum())


def row(task: Task, model: Graph, recipe: str) -> tuple[object, ...]:
    """What one recipe makes of one model."""
    data = task.data
    assert data.x_test is not None
    graph, _ = shrink(quantize(model, data, recipe))
    want, ours = real_outputs(model, data.x_test), real_outputs(graph, data.x_test)
    inputs = [to_model(graph, data.x_test[:CHECKED])], random_inputs(graph, RANDOM)
    with RuntimePool(timeout=7200) as pool:
        tflm, litert = (
            sum(unlike(pool, graph, x, runtime) for x in inputs) for runtime in RUNTIMES
        )
    firmware = compile(graph, BOARD)
    run = firmware.run([a[:2] for a in inputs[1]])
    return (
        task.name,
        recipe,
        f"{snr_db(want, ours):.1f}",
        shown(score(want, data)),
        shown(score(ours, data)),
        firmware.flash_bytes,
        firmware.ram_bytes,
        run.cycles,
        tflm,
        litert,
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
        f"on all test samples ({'; '.join(judged)}, the first half of which calibrates): in float, "
        f"and as compiled C on this machine. Firmware for {BOARD}: bytes that are linked, "
        "estimated cycles. Last, the output elements that differ from those of TensorFlow Lite "
        f"Micro and of LiteRT's reference kernels, on up to {CHECKED:,} test samples and {RANDOM} "
        "random and extreme inputs; LiteRT rounds FULLY_CONNECTED otherwise.\n",
        table(
            (
                *("model", "recipe", "SNR dB", "float", "integer", "flash", "RAM"),
                *("cycles (est.)", "unlike TFLM's", "unlike LiteRT's"),
            ),
            rows,
        ),
    ]
    keep("int16", "Sixteen bits an activation", "python -m benchmarks int16", parts)


if __name__ == "__main__":
    main()
