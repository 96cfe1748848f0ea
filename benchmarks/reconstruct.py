"""int4 weights without labels: rounded to the nearest, fitted, and learned from the float model."""

from __future__ import annotations

import dataclasses
import time

from benchmarks._shared import keep, table
from benchmarks._tasks import TASKS, Task
from smidgen import Dataset, Graph, quantize, reconstruct, write_tflite
from smidgen.data import accuracy, decode, to_model
from smidgen.transforms.quantize import PRESETS
from smidgen.verify.runtimes import RuntimePool

NAMES = ("IC", "KWS")
SEED = 0
NEAREST = dataclasses.replace(PRESETS["int4"], fit_weights=False)
PROMISED = {"IC": 0.855}


def score(graph: Graph, task: Task, pool: RuntimePool) -> float:
    """Accuracy on all test samples by LiteRT, of the file."""
    assert task.data.x_test is not None and task.data.y_test is not None
    samples = to_model(graph, task.data.x_test)
    (scores,) = pool.run("litert_xnnpack", write_tflite(graph), [samples]).outputs
    return accuracy(decode(graph.output_types[0], scores), task.data.y_test)


def rows(task: Task, pool: RuntimePool) -> list[tuple[object, ...]]:
    """Every way on one task. Nothing sees a label, nor a test sample before it is judged."""
    model, data = task.model(), Dataset(task.data.x)
    found: list[tuple[object, ...]] = []
    ways = {
        "reconstruct": lambda: reconstruct(model, data, "int4", seed=SEED, threads=1),
        "quantize": lambda: quantize(model, data, "int4", seed=SEED),
        "quantize, each weight to the nearest": lambda: quantize(model, data, NEAREST, seed=SEED),
    }
    for name, way in ways.items():
        wall, processor = time.monotonic(), time.process_time()
        graph = way()
        seconds = time.process_time() - processor
        value = score(graph, task, pool)
        found.append((task.name, name, f"{value:.2%}", round(seconds), graph.constant_bytes))
        print(*found[-1], f"({time.monotonic() - wall:.0f} s in all)", flush=True)
        if name == "reconstruct":
            assert value >= PROMISED.get(task.name, 0.0), value
    return found


def main() -> None:
    lines: list[tuple[object, ...]] = []
    tasks = [TASKS[name]() for name in NAMES]
    with RuntimePool(timeout=3600) as pool:
        for task in tasks:
            lines += rows(task, pool)
    judged = "; ".join(f"{t.name}: {t.judged_on}, learned from {t.calibrated_on}" for t in tasks)
    parts = [
        "int4 weights, int8 activations, first and last layer int8, without labels: top-1 "
        "accuracy of the written `.tflite` in LiteRT, on samples that nothing was chosen on "
        f"({judged}). Settings are the defaults, chosen on CIFAR-10 training images that were "
        f"not learned from. Seed {SEED}; seconds of one processor, calibration included.\n",
        table(("model", "made by", "accuracy", "seconds", "bytes of constants"), lines),
    ]
    keep("reconstruct", "Learning to round", "python -m benchmarks reconstruct", parts)


if __name__ == "__main__":
    main()
