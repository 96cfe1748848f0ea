"""The four MLPerf Tiny int8 models as firmware: identical to TFLM, and what they take."""

from __future__ import annotations

import numpy as np

from benchmarks._shared import MODELS, keep, table
from smidgen import Firmware, Graph, compile, load, shrink, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.interpreter import interpret
from smidgen.verify.runtimes import RuntimePool

BOARD = "nucleo-l4r5zi"
HOST_SAMPLES, EMULATOR_SAMPLES = 1000, 5
NO_LIMIT = 10**7  # bytes, with which no layer needs to run by rows
BUDGETS = {"IC": "240KB"}  # what speed may take, where it is not all of the board's flash

TFLM_BUILD = (
    "TensorFlow Lite Micro is revision 90b983c2 with CMSIS-NN 4ab83cc3, built with its own release "
    "flags by gcc 12.2.1 for the Cortex-M4, with newlib-nano and only the operators that the model "
    "needs. Its RAM is static data, the smallest arena that works, and the deepest stack."
)
# Instructions, code, total RAM, estimated cycles; measured in the same emulator.
TFLM = {
    "KWS": (7_697_229, 53_280, 24_380, 9_150_000),
    "VWW": (24_101_542, 53_280, 102_268, 29_010_000),
    "IC": (29_860_771, 51_084, 56_556, 35_720_000),
    "AD": (582_892, 27_880, 4_004, 725_000),
}


def samples(graph: Graph, count: int) -> np.ndarray:
    """Random inputs, the first ones extreme: all lowest, all highest, and a checkerboard."""
    shape = (count, *graph.input_types[0].shape[1:])
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    x[0], x[1] = -128, 127
    x[2].flat[::2], x[2].flat[1::2] = -128, 127
    return x


def different(a: np.ndarray, b: np.ndarray) -> int:
    """How many bytes differ."""
    return int((a.reshape(b.shape) != b).sum())


def compare(name: str, graph: Graph, original: bytes, firmware: Firmware) -> tuple[str, ...]:
    """One row: bytes that differ from TFLM on the host, the chip, and in each tensor."""
    x = samples(graph, HOST_SAMPLES)
    with RuntimePool(timeout=600) as pool:
        want = pool.run("tflm", original, [x]).outputs[0]
        exposed = pool.run("tflm", write_tflite(graph), [x[:1]], intermediates=True)
        ref = pool.run("litert_ref", original, [x[:20]]).outputs[0]
    host = HostModel(graph).run(x)[0]
    chip = firmware.run(x[:EMULATOR_SAMPLES]).outputs[0]
    ours: dict[str, np.ndarray] = {}
    interpret(graph, x[:1], observe=ours.__setitem__)
    traced = {s.value: s.tensor for s in firmware.profile([x[:1]])}
    tensors = wrong = 0
    assert exposed.tensors is not None
    names = [n for node in graph.nodes for n in node.outputs]
    for value, tensor in zip(names, exposed.tensors.values(), strict=True):
        tensors += 1
        wrong += different(tensor, ours[value]) + (
            different(traced[value], tensor) if value in traced else 0
        )
    rounded = interpret(graph, x[:20], rounding="single")[0]
    return (
        name,
        different(host, want),
        different(chip, want[:EMULATOR_SAMPLES]),
        f"{wrong} in {tensors} tensors",
        f"{different(ref, want[:20])} ({different(ref, rounded)} with its own rounding)",
    )


def level(name: str, graph: Graph, optimize: str, budget: str | None) -> tuple[object, ...]:
    """One row: what a shrunk model takes when compiled for something else."""
    firmware = compile(graph, BOARD, optimize=optimize, flash=budget)
    run = firmware.run(samples(graph, 3)[2:])
    figures = (firmware.code_bytes, firmware.constant_bytes, firmware.flash_bytes)
    assert run.cycles is not None
    cycles = (run.instructions, run.cycles, f"{run.cycles / TFLM[name][3]:.0%}")
    return (name, optimize, budget or "", *figures, firmware.ram_bytes, *cycles)


def memory(name: str, graph: Graph, ram: int | None) -> tuple[object, ...]:
    """One row: the arena by whole tensors, and by rows as `compile` chooses or within `ram`."""
    x = samples(graph, 3)[2:]
    whole, rows = (compile(graph, BOARD, ram=budget) for budget in (NO_LIMIT, ram))
    before, after = whole.run(x).cycles, rows.run(x).cycles
    assert before is not None
    assert after is not None
    asked = "" if ram is None else f"{ram:,}"
    arenas = (whole.arena_bytes, rows.arena_bytes, whole.ram_bytes, rows.ram_bytes)
    return (name, asked, *arenas, f"{after / before - 1:+.1%}")


def main() -> None:
    exact, sizes, levels = [], [], []
    for name, path in MODELS.items():
        graph = load(path)
        firmware = compile(graph, BOARD)
        exact.append(compare(name, graph, path.read_bytes(), firmware))
        for label, kept in (("", firmware), (" shrunk", compile(shrink(graph)[0], BOARD))):
            run = kept.run(samples(graph, 3)[2:])
            instructions, code, ram, cycles = TFLM[name]
            sizes.append(
                (
                    name + label,
                    kept.code_bytes,
                    f"{kept.code_bytes / code:.0%} of {code:,}",
                    kept.constant_bytes,
                    kept.flash_bytes,
                    kept.arena_bytes,
                    kept.stack_bytes,
                    kept.ram_bytes,
                    f"{kept.ram_bytes / ram:.0%} of {ram:,}",
                    run.instructions,
                    f"{run.instructions / instructions:.0%}",
                    run.cycles,
                    f"{run.cycles / cycles:.0%}",
                )
            )
        for optimize in ("speed", "balanced", "flash"):
            budget = BUDGETS.get(name) if optimize == "speed" else None
            levels.append(level(name, shrink(graph)[0], optimize, budget))
    small = {name: shrink(load(path))[0] for name, path in MODELS.items()}
    rows = [memory(name, graph, None) for name, graph in small.items()]
    rows.append(memory("KWS", small["KWS"], 9200))
    # Nothing but the direct kernels, as fast as they are.
    levels.append(level("IC", shrink(load(MODELS["IC"]))[0], "speed", "90KB"))
    parts = [
        f"Bytes that differ from TensorFlow Lite Micro's: compiled C on this machine over "
        f"{HOST_SAMPLES:,} random and extreme inputs, firmware on an emulated Cortex-M4 over "
        f"{EMULATOR_SAMPLES}, every intermediate tensor (reference and firmware) for one; and "
        "LiteRT's reference kernels over 20.\n",
        table(("model", "host", "Cortex-M4", "tensors", "LiteRT BUILTIN_REF"), exact),
        f"What the linked firmware takes ({firmware.toolchain.version}, optimize balanced), in "
        "bytes, beside TensorFlow Lite Micro with CMSIS-NN. Instructions are exact, cycles "
        "estimated (core manual's timings, no wait states).\n",
        f"{TFLM_BUILD}\n",
        table(
            ("model", "code", "of TFLM's", "constants", "flash", "arena", "stack", "RAM",
             "of TFLM's", "instructions", "of TFLM's", "cycles (est.)", "of TFLM's"),
            sizes,
        ),
        "The shrunk models at each level of `--optimize`, for speed within so much flash:\n",
        table(
            ("model", "optimize", "flash at most", "code", "constants", "flash", "RAM",
             "instructions", "cycles (est.)", "of TFLM's"),
            levels,
        ),
        "Layers by rows, balanced: as chosen, or within so much RAM.\n",
        table(
            ("model", "RAM at most", "arena, whole tensors", "arena, by rows",
             "RAM, whole tensors", "RAM, by rows", "cycles (est.)"),
            rows,
        ),
    ]  # fmt: skip
    keep("firmware", "Firmware of the MLPerf Tiny models", "python -m benchmarks firmware", parts)


if __name__ == "__main__":
    main()
