"""Smidgen and bakenn with CMSIS-NN side by side on a Cortex-M4, gcc and zig, one run.

    make bench-engine

installs bakenn where this script finds it (build/bakenn). bakenn has no SOFTMAX, so both engines
get each model without its last SOFTMAX, written by Smidgen with static shapes. Counts are taken
by unicorn and must be those of QEMU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared import HERE, MODELS, SHARED, keep, table
from benchmarks.firmware import TFLM, different, samples
from smidgen import Graph, compile, load, shrink, write_tflite
from smidgen.ir.editor import GraphEditor
from smidgen.targets.elf import Image
from smidgen.targets.emulators import QemuEmulator, UnicornEmulator
from smidgen.targets.emulators.qemu_emulator import qemu_memory
from smidgen.targets.firmware import ROOMY, build_firmware
from smidgen.targets.toolchain import find_toolchain
from smidgen.verify.runtimes import RuntimePool

BAKENN = HERE.parent / "build" / "bakenn"
BOARD, CORE = "nucleo-l4r5zi", "cortex-m4"
SAMPLES = 3
ZOO = {
    "person detection": "tflm_person_detect_int8.tflite",
    "KWS on/off": "silabs_kws_on_off_v3.tflite",
    "hello world": "tflm_hello_world_int8.tflite",
    "MNIST": "tinymaix_mnist_dw_int8.tflite",
}

_HARNESS = """\
#include "sm_harness.h"
#include "bknn_m.h"
static uint8_t arena[{arena}] __attribute__((aligned(16)));
static int8_t input[{input}] __attribute__((aligned(4)));
static int8_t output[{output}] __attribute__((aligned(4)));
SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{{{input, {input}}}, {{0, 0}}}};
SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{{{output, {output}}}, {{0, 0}}}};
SM_HARNESS_CODE int sm_invoke(void) {{
  bknn_m_infer({pointer}, input, output);
  return 0;
}}
"""


@dataclass(frozen=True)
class Measured:
    """What one program takes; bytes but for the counts."""

    instructions: int
    cycles: int
    code: int
    constants: int
    ram: int
    outputs: tuple[bytes, ...]


def without_softmax(graph: Graph) -> Graph:
    """The graph up to its last SOFTMAX."""
    last = graph.producers[graph.outputs[0]]
    if last.op.name != "SOFTMAX" or last.inputs[0] is None:
        return graph
    edit = GraphEditor(graph)
    edit.outputs = [last.inputs[0]]
    return edit.finish()


def measure(elf: Path, qemu: Path, constants: int | None, x: np.ndarray) -> Measured:
    """Run a program for every sample in two emulators, which must agree."""
    runs = [UnicornEmulator(elf, CORE).invoke([row.tobytes()]) for row in x]
    second = QemuEmulator(qemu, CORE).invoke([x[-1].tobytes()])
    if (second.instructions, second.outputs) != (runs[-1].instructions, runs[-1].outputs):
        raise SystemExit(
            f"{elf.name}: unicorn counts {runs[-1].instructions}, QEMU {second.instructions}"
        )
    footprint = Image.load(elf).footprint
    constants = footprint.constant_bytes if constants is None else constants
    cycles = runs[-1].cycles_estimated
    assert cycles is not None
    return Measured(
        runs[-1].instructions,
        cycles,
        footprint.flash_bytes - constants,
        constants,
        footprint.static_ram_bytes + max(r.stack_bytes for r in runs),
        tuple(r.outputs[0] for r in runs),
    )


def measure_smidgen(graph: Graph, compiler: str, optimize: str, x: np.ndarray) -> Measured:
    """Smidgen's program."""
    firmware = compile(graph, BOARD, toolchain=compiler, optimize=optimize)
    return measure(firmware.elf, firmware._link("qemu", trace=False), None, x)


def measure_bakenn(file: bytes, compiler: str, x: np.ndarray, folder: Path) -> Measured | str:
    """bakenn's program, or why bakenn refuses the model."""
    model = folder / "model.tflite"
    model.write_bytes(file)
    script = [sys.executable, str(HERE / "_bakenn.py"), str(model), str(folder / "c")]
    done = subprocess.run(
        script, env=os.environ | {"PYTHONPATH": str(BAKENN)}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"bakenn failed; install it with make bench-engine\n{done.stderr}")
    facts = json.loads(done.stdout)
    if "refused" in facts:
        return str(facts["refused"])
    harness = folder / "harness.c"
    shim = folder / "include"  # CMSIS-NN includes math.h, uses nothing of it, and zig has none
    shim.mkdir()
    (shim / "math.h").touch()
    sizes = {key: facts[key] for key in ("input", "output")}
    pointer = "arena" if facts["arena"] else "0"
    harness.write_text(_HARNESS.format(arena=max(1, facts["arena"]), pointer=pointer, **sizes))

    def build(harness_kind: str) -> Path:
        return build_firmware(
            [*facts["sources"], harness],
            [*facts["include_dirs"], shim],
            folder / f"{harness_kind}.elf",
            CORE,
            toolchain=find_toolchain(compiler),
            opt_level="2",
            defines=facts["defines"],
            memory=qemu_memory(CORE) if harness_kind == "qemu" else ROOMY,
            harness=harness_kind,
            extra_flags=["-std=c11"],
        )

    elf = build("unicorn")
    return measure(elf, build("qemu"), weights_in(elf, folder / "c" / "bknn_m_weights.h"), x)


def weights_in(elf: Path, header: Path) -> int:
    """Bytes of the symbols of an ELF that a header declares."""
    from elftools.elf.elffile import ELFFile

    declared = header.read_text(encoding="utf-8")
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return sum(s["st_size"] for s in symbols if s.name and f"{s.name}[" in declared)


def rows_of(name: str, path: Path) -> list[list[Any]]:
    """The rows of one model."""
    graph = without_softmax(load(path))
    file = write_tflite(graph)
    x = samples(graph, SAMPLES)
    with RuntimePool(timeout=600) as pool:
        want = pool.run("tflm", file, [x]).outputs[0]
    small = shrink(graph)[0]

    def row(engine: str, compiler: str, got: Measured) -> list[Any]:
        outputs = np.stack([np.frombuffer(o, np.int8) for o in got.outputs])
        return [name, engine, compiler, got.instructions, got.cycles, got.code, got.constants,
                got.code + got.constants, got.ram, different(outputs, want)]  # fmt: skip

    rows: list[list[Any]] = []
    for compiler in ("gcc", "zig"):
        for optimize in ("speed", "balanced", "flash"):
            got = measure_smidgen(small, compiler, optimize, x)
            rows.append(row(f"Smidgen {optimize}", compiler, got))
        with tempfile.TemporaryDirectory() as folder:
            theirs = measure_bakenn(file, compiler, x, Path(folder))
        if isinstance(theirs, str):
            rows.append([name, "bakenn", compiler, f"refused: {theirs}", *[""] * 6])
        else:
            rows.append(row("bakenn", compiler, theirs))
    if name in TFLM:
        instructions, code, ram, cycles = TFLM[name]
        recorded = [instructions, cycles, code, "", "", ram, "with SOFTMAX"]
        rows.append([name, "TFLM (recorded)", "gcc", *recorded])
    print(table(COLUMNS, rows), flush=True)
    return rows


COLUMNS = ("model", "engine", "compiler", "instructions", "cycles (est.)", "code", "constants",
           "flash", "RAM", "output bytes unlike TFLM's")  # fmt: skip


def verdicts(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Per model: the better of both compilers, Smidgen balanced over bakenn."""

    @cache
    def best(model: str, engine: str, column: int) -> int | None:
        figures = [r[column] for r in rows if r[:2] == [model, engine]]
        return min((f for f in figures if isinstance(f, int)), default=None)

    found = []
    for model in dict.fromkeys(r[0] for r in rows):
        line = [model]
        for column in (4, 5, 7, 8):
            ours, theirs = best(model, "Smidgen balanced", column), best(model, "bakenn", column)
            line.append("bakenn refuses" if theirs is None else f"{(ours or 0) / theirs:.0%}")
        found.append(line)
    return found


def main() -> None:
    paths = MODELS | {name: SHARED / "zoo" / file for name, file in ZOO.items()}
    rows = [row for name, path in paths.items() for row in rows_of(name, path)]
    parts = [
        "Firmware for a Cortex-M4 without the last SOFTMAX, which bakenn lacks. Smidgen's is "
        "shrunk first. Flash is code and constants of the linked program; RAM is arena, inputs, "
        "outputs and the painted stack. Instructions are exact: unicorn and QEMU agree on every "
        f"one of them. Cycles are estimated, without wait states. {SAMPLES} inputs, random and "
        f"extreme, are compared with TensorFlow Lite Micro. Compilers: "
        f"{find_toolchain('gcc').version}; {find_toolchain('zig').version}. bakenn 1.0.0 is built "
        "at -O2 with its CMSIS-NN 4.0.0 overlay. TFLM's column is 90b983c2 with CMSIS-NN "
        "4ab83cc3, its own release flags, gcc 12.2.1.\n",
        "Smidgen at `balanced` in percent of bakenn, each with its better compiler:\n",
        table(("model", "cycles (est.)", "code", "flash", "RAM"), verdicts(rows)),
        table(COLUMNS, rows),
    ]
    keep("engine", "Engines side by side", "make bench-engine", parts)


if __name__ == "__main__":
    main()
