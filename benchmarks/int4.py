"""int4 weights beside int8 ones: accuracy, flash, memory and time of the MLPerf Tiny models."""

from __future__ import annotations

import dataclasses

from benchmarks._shared import keep, table
from benchmarks._tasks import TASKS, Task, ad_unseen
from smidgen import Graph, Recipe, Rule, compile, evaluate, quantize, shrink, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.interpreter import random_inputs
from smidgen.transforms.quantize import PRESETS
from smidgen.verify.runtimes import RuntimePool

BOARD = "nucleo-l4r5zi"
SAMPLES = 100
NEAREST = dataclasses.replace(PRESETS["int4"], fit_weights=False)
EVERYWHERE = Recipe((Rule(weight_dtype="int4"),))
RECIPES: dict[str, dict[str, str | Recipe]] = {
    "IC": {"int8": "int8", "int4": "int4", "int4, each weight to the nearest": NEAREST},
    "KWS": {"int8": "int8", "int4": "int4"},
    "VWW": {"int8": "int8", "int4": "int4"},
    # Its first and last layer hold most of its weights.
    "AD": {"int8": "int8", "int4": "int4", "int4, first and last too": EVERYWHERE},
}


def weight_bytes(graph: Graph) -> int:
    """Bytes of int8 and int4 constants."""
    kept = [v.type for v in graph.values.values() if v.is_constant]
    return sum(type.bytes for type in kept if type.dtype in ("int8", "int4"))


def row(task: Task, name: str, recipe: str | Recipe) -> tuple[object, ...]:
    """What one recipe makes of one model."""
    graph, _ = shrink(quantize(task.model(), task.data, recipe))
    score = evaluate(graph, task.data)
    firmware = compile(graph, BOARD)
    x = random_inputs(graph, SAMPLES)
    run = firmware.run([a[:3] for a in x])
    with RuntimePool(timeout=600) as pool:
        want = pool.run("tflm", write_tflite(graph), x).outputs[0]
    got = HostModel(graph).run(x)[0]
    unlike = int((got != want).sum()) + int((run.outputs[0] != want[:3]).sum())
    value = f"{score.value:.2%}" if score.higher_is_better else f"{score.value:.3f}"
    return (
        task.name,
        name,
        value,
        weight_bytes(graph),
        firmware.code_bytes,
        firmware.flash_bytes,
        firmware.ram_bytes,
        run.instructions,
        run.cycles,
        unlike,
    )


def tasks() -> list[Task]:
    """The four tasks; no sample that is judged on was calibrated on."""
    found = {name: make() for name, make in TASKS.items()}
    unseen = "the second half of the clip"
    found["AD"] = dataclasses.replace(found["AD"], data=ad_unseen(found["AD"]), judged_on=unseen)
    return list(found.values())


def main() -> None:
    rows = []
    for task in tasks():
        for name, recipe in RECIPES[task.name].items():
            rows.append(row(task, name, recipe))
            print(rows[-1], flush=True)
    judged = "; ".join(f"{t.name}: {t.judged_on}" for t in tasks())
    parts = [
        "Float models quantized without training: top-1 accuracy of the compiled C on this "
        "machine (AD: mean squared error, lower is better) on samples that nothing was chosen on "
        f"({judged}). Firmware for {BOARD}, dead channels folded: bytes of weights and of what is "
        "linked, exact instructions, estimated cycles. Last, the bytes that differ from "
        "TensorFlow Lite Micro's "
        f"on {SAMPLES} random and extreme inputs, and on 3 of them on the emulated Cortex-M4.\n",
        table(
            (
                *("model", "recipe", "score", "weights", "code", "flash", "RAM"),
                *("instructions", "cycles (est.)", "bytes unlike TFLM's"),
            ),
            rows,
        ),
    ]
    keep("int4", "Four bits a weight", "python -m benchmarks int4", parts)


if __name__ == "__main__":
    main()
