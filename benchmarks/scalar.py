"""The four MLPerf Tiny int8 models on cores without SIMD, and on the machine that compiles."""

from __future__ import annotations

import time

import numpy as np

from benchmarks._shared import MODELS, keep, table
from benchmarks.firmware import different, samples
from smidgen import Graph, compile, load, shrink
from smidgen.backends.c.host import HostModel
from smidgen.interpreter import interpret

BOARDS = {"Cortex-M0+": "raspberry-pi-pico", "RV32IMC": "esp32-c3-devkitm-1"}
SAMPLES, HOST_SAMPLES, REPEATS = 3, 300, 5

# Instructions of TensorFlow Lite Micro with CMSIS-NN on a Cortex-M0+, in the same emulator.
TFLM = {"KWS": 28_997_614, "VWW": 86_897_899, "IC": 97_552_737, "AD": 1_763_332}


def row(name: str, model: str, graph: Graph, core: str) -> tuple[object, ...]:
    """What one model takes on one core."""
    firmware = compile(graph, BOARDS[core])
    x = samples(graph, SAMPLES)
    run = firmware.run(x)
    return (
        name,
        core,
        run.instructions,
        f"{run.instructions / TFLM[model]:.0%} of {TFLM[model]:,}" if "M0" in core else "",
        run.cycles,
        firmware.code_bytes,
        firmware.constant_bytes,
        firmware.ram_bytes,
        different(run.outputs[0], interpret(graph, x)[0]),
        firmware.toolchain.version,
    )


def host_row(name: str, graph: Graph) -> tuple[object, ...]:
    """Milliseconds of one thread's processor time for a sample, the least of some repetitions."""
    model, x = HostModel(graph), samples(graph, HOST_SAMPLES)
    least = np.inf
    for _ in range(REPEATS):
        start = time.process_time()
        (got,) = model.run(x, threads=1)
        least = min(least, (time.process_time() - start) * 1e3 / len(x))
    return (name, float(least), different(got, interpret(graph, x)[0]))


def main() -> None:
    rows, host = [], []
    for name, path in MODELS.items():
        graph = load(path)
        kept = {name: graph} if name != "VWW" else {name: graph, "VWW shrunk": shrink(graph)[0]}
        rows += [row(label, name, g, core) for label, g in kept.items() for core in BOARDS]
        host += [host_row(label, g) for label, g in kept.items()]
    parts = [
        "Instructions of an inference are exact, cycles estimated (core manual's timings, no wait "
        "states); beside TensorFlow Lite Micro with CMSIS-NN on the Cortex-M0+. The last columns "
        f"count output bytes unlike the reference's over {SAMPLES} inputs, extreme ones among "
        "them, and name the compiler.\n",
        table(
            ("model", "core", "instructions", "of TFLM's", "cycles (est.)", "code", "constants",
             "RAM", "differ", "compiler"),
            rows,
        ),
        "The machine that compiles, one thread: processor time of a sample in milliseconds, and "
        f"output bytes unlike the reference's over {HOST_SAMPLES} inputs.\n",
        table(("model", "ms", "differ"), host),
    ]  # fmt: skip
    keep("scalar", "Cores without SIMD, and the host", "python -m benchmarks scalar", parts)


if __name__ == "__main__":
    main()
