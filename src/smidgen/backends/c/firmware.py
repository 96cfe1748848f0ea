"""Compile a graph for a board: the source folder, the linked ELF, its sizes, and running it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.backends.c.arena import Arena
from smidgen.backends.c.choose_streams import FREE, choose_streams
from smidgen.backends.c.emit import Source, emit
from smidgen.backends.c.order_steps import order_steps
from smidgen.backends.c.project import write_project, write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.c.stream import Stream
from smidgen.errors import EmulatorError, SmidgenError
from smidgen.interpreter import check_inputs
from smidgen.ir import Graph, numpy_dtype

if TYPE_CHECKING:
    from smidgen.backends.c.host import HostModel
    from smidgen.ops import Op
    from smidgen.targets.board import Board
    from smidgen.targets.elf import Footprint
    from smidgen.targets.emulators import EmulatorRun, QemuEmulator, UnicornEmulator
    from smidgen.targets.toolchain import Toolchain

Array = np.ndarray[Any, Any]

STACK_BYTES = 512  # that a plan for so much RAM leaves; how many it takes is measured later

DEFAULT_BOARD = "nucleo-l4r5zi"

# What `optimize` means to the compiler.
OPTIMIZE: dict[str, tuple[str, tuple[str, ...]]] = {
    "speed": ("3", ()),
    "balanced": ("2", ()),
    "flash": ("s", ()),
}


@dataclass(frozen=True)
class StepRun:
    """One layer of an emulated inference.

    Args:
        layer: its label.
        value: name of the tensor it computed.
        instructions: exact.
        cycles: estimated.
        macs: multiply-accumulates.
        tensor: what it computed.
    """

    layer: str
    value: str
    instructions: int
    cycles: int | None
    macs: int
    tensor: Array

    @property
    def cycles_per_mac(self) -> float | None:
        """Estimated cycles for each multiply-accumulate; None where there are none."""
        return self.cycles / self.macs if self.macs and self.cycles is not None else None


@dataclass(frozen=True)
class Run:
    """What running a model gave.

    Args:
        outputs: one array (n, ...) for each output.
        on: "host" or the emulator that ran it.
        instructions: of one inference, exact (the last sample's); None on the host.
        cycles: of one inference, *estimated*; None on the host.
        stack_bytes: deepest stack of any inference; None on the host.
        steps: one for each layer of the last sample, if profiled.
    """

    outputs: list[Array]
    on: str
    instructions: int | None = None
    cycles: int | None = None
    stack_bytes: int | None = None
    steps: tuple[StepRun, ...] = ()


class Firmware:
    """A graph compiled for a board. Made by `compile`.

    Attributes:
        graph: what was compiled.
        board: what for.
        source: the generated C.
        arena: the planned tensor arena.
        folder: where the sources were written, or None.
        limits: bytes of "flash" and "ram" that there are: the board's, or what was asked for.
    """

    def __init__(
        self,
        graph: Graph,
        board: Board,
        source: Source,
        arena: Arena,
        *,
        optimize: str = "balanced",
        toolchain: Toolchain | None = None,
        folder: Path | None = None,
        flash: int | None = None,
        ram: int | None = None,
    ) -> None:
        self.graph = graph
        self.board = board
        self.source = source
        self.arena = arena
        self.optimize = optimize
        self.folder = folder
        self.limits = {
            "flash": min(board.flash_bytes, board.flash_bytes if flash is None else flash),
            "ram": min(board.ram_bytes, board.ram_bytes if ram is None else ram),
        }
        self._toolchain = toolchain
        self._work = Path(tempfile.mkdtemp(prefix="smidgen-firmware-"))
        # Nobody closes a firmware: its files go when it does, without a warning.
        weakref.finalize(self, shutil.rmtree, self._work, ignore_errors=True)

    @cached_property
    def toolchain(self) -> Toolchain:
        """The compiler that links the firmware."""
        from smidgen.targets.toolchain import find_toolchain

        return self._toolchain or find_toolchain(core=self.board.core)

    @cached_property
    def elf(self) -> Path:
        """The linked program that is measured and emulated."""
        return self._link("unicorn", trace=False)

    def _link(self, harness: str, *, trace: bool) -> Path:
        from smidgen.targets.emulators.qemu_emulator import qemu_memory
        from smidgen.targets.firmware import ROOMY, build_firmware

        folder = self._work
        write_sources(self.source, folder)
        (folder / "sm_model_harness.c").write_text(self._harness(), encoding="utf-8")
        level, defines = OPTIMIZE[self.optimize]
        name = f"{self.source.name}-{harness}{'-trace' if trace else ''}.elf"
        return build_firmware(
            [folder / f"{self.source.name}.c", folder / "sm_model_harness.c"],
            [folder],
            folder / name,
            self.board.core,
            toolchain=self.toolchain,
            opt_level=level,
            defines=[*defines, *(["SM_TRACE"] if trace else [])],
            memory=qemu_memory(self.board.core) if harness == "qemu" else ROOMY,
            harness=harness,
        )

    def _harness(self) -> str:
        name, upper = self.source.name, self.source.name.upper()

        def table(values: tuple[str, ...], more: str) -> str:
            rows = [
                f"{{arena + {self.arena.offset(v)}, {self.graph.type(v).bytes}}}, " for v in values
            ]
            return "".join(rows) + more + "{0, 0}"

        invoke, block, given, taken = f"return {name}_invoke(arena);", "", "", ""
        if self.graph.states:  # the block goes in and out, and the model resets it when asked to
            invoke = (
                f"if (wanted != 0) {{ {name}_reset(state); return 0; }}\n"
                f"  return {name}_invoke(arena, state);"
            )
            block = (
                f"static uint8_t state[{upper}_STATE_BYTES] __attribute__((aligned(16)));\n"
                "SM_HARNESS_BSS static uint32_t wanted;\n"
            )
            given = f"{{state, {upper}_STATE_BYTES}}, {{&wanted, 4}}, "
            taken = f"{{state, {upper}_STATE_BYTES}}, "
        inputs, outputs = table(self.graph.inputs, given), table(self.graph.outputs, taken)
        return (
            f'#include "sm_harness.h"\n#include "{name}.h"\n'
            f"static uint8_t arena[{upper}_ARENA_BYTES] __attribute__((aligned(16)));\n{block}"
            f"SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{{inputs}}};\n"
            f"SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{{outputs}}};\n"
            f"SM_HARNESS_CODE int sm_invoke(void) {{\n  {invoke}\n}}\n"
        )

    # -- sizes, measured on the linked ELF -----------------------------------------------------

    @cached_property
    def footprint(self) -> Footprint:
        """Code, constants and static RAM of the linked ELF, in bytes."""
        from smidgen.targets.elf import Image

        return Image.load(self.elf).footprint

    @property
    def flash_bytes(self) -> int:
        """Flash that the program takes: code, constants, vectors and initial data."""
        return self.footprint.flash_bytes

    @property
    def code_bytes(self) -> int:
        """Flash without the model's constants."""
        return self.footprint.code_bytes

    @property
    def constant_bytes(self) -> int:
        """The model's constants in flash."""
        return self.footprint.constant_bytes

    @property
    def arena_bytes(self) -> int:
        """The tensor arena, inputs and outputs included."""
        return self.arena.bytes

    @property
    def state_bytes(self) -> int:
        """What the model remembers between steps, beside the arena."""
        return self.arena.states.bytes

    @property
    def streams(self) -> list[list[str]]:
        """The layers that run by rows, some rows of each at a time, chain by chain."""
        chains = [call for call in self.arena.calls if isinstance(call, Stream)]
        return [[step.node.label for step in chain.steps] for chain in chains]

    @cached_property
    def stack_bytes(self) -> int:
        """Deepest stack of one inference, found by painting it in the emulator."""
        zeros = [np.zeros(t.shape, numpy_dtype(t.dtype)) for t in self.graph.input_types]
        run = self.run(zeros, on="emulator")
        assert run.stack_bytes is not None
        return run.stack_bytes

    @property
    def ram_bytes(self) -> int:
        """Peak RAM: static data (the arena among it) plus the deepest stack."""
        return self.footprint.static_ram_bytes + self.stack_bytes

    # -- running -------------------------------------------------------------------------------

    @cached_property
    def host(self) -> HostModel:
        """The same C compiled for this machine."""
        from smidgen.backends.c.host import QUICK, HostModel

        return HostModel(self.graph, flags=QUICK, arena=self.arena)

    def run(
        self,
        inputs: Array | Sequence[Array],
        on: str = "emulator",
        *,
        stream: bool = False,
        profile: bool = False,
    ) -> Run:
        """Run n samples.

        Args:
            inputs: one array (n, ...) or one for each input, in the inputs' dtypes.
            on: "emulator" (unicorn, or QEMU for a core that unicorn lacks), "unicorn", "qemu" or
                "host".
            stream: whether the samples are consecutive steps of a model with states. Otherwise
                each finds the states as they are at first.
            profile: also record every layer of the last sample (emulator only).

        Returns:
            Outputs, and for an emulator the exact instructions, estimated cycles and stack.

        Raises:
            DataError: if the arrays do not fit.
            EmulatorError: if the firmware fails.
            SmidgenError: if asked to profile on the host.
            ToolMissingError: if the emulator or a compiler is not installed.
        """
        arrays = check_inputs(self.graph, inputs)
        if on == "host":
            if profile:
                raise SmidgenError(
                    "this machine's instructions say nothing about a chip's",
                    where="profile",
                    hint="run on the emulator",
                )
            return Run(self.host.run(arrays, stream=stream), "host")
        if on not in ("emulator", "unicorn", "qemu"):
            raise SmidgenError(f"cannot run on {on!r}", hint="use emulator, qemu or host")
        if on == "emulator":
            on = "unicorn" if self.board.core_info.unicorn_model else "qemu"
        emulator = self._emulator(on)
        runs = self._invocations(emulator.invoke, arrays, stream)
        steps: tuple[StepRun, ...] = ()
        if profile:
            steps = self.profile(arrays, stream=stream)
        return Run(
            self._outputs(runs),
            runs[-1].emulator,
            runs[-1].instructions,
            runs[-1].cycles_estimated,
            max(r.stack_bytes for r in runs),
            steps,
        )

    def _invocations(
        self, invoke: Callable[[list[bytes]], EmulatorRun], arrays: Sequence[Array], stream: bool
    ) -> list[EmulatorRun]:
        """Run samples one after the other; the states' block is handed on, or reset, between."""
        stateful = bool(self.graph.states)
        fresh = block = b""
        if stateful:
            zeros = [bytes(type.bytes) for type in self.graph.input_types]
            reset = invoke([*zeros, bytes(self.state_bytes), b"\1\0\0\0"])
            fresh = block = reset.outputs[-1]
        runs = []
        for i in range(len(arrays[0])):
            given = [np.ascontiguousarray(a[i]).tobytes() for a in arrays]
            runs.append(run := invoke([*given, block, bytes(4)] if stateful else given))
            if run.status != 0:
                raise EmulatorError(f"the firmware returned {run.status}")
            if stateful:
                block = run.outputs[-1] if stream else fresh
        return runs

    def profile(self, inputs: Sequence[Array], *, stream: bool = False) -> tuple[StepRun, ...]:
        """Every layer of the last sample: exact instructions, estimated cycles, the tensor.

        Args:
            inputs: one array (n, ...) for each input.
            stream: whether they are consecutive steps, which run before the last one.
        """
        from smidgen.targets.emulators import UnicornEmulator

        traced = UnicornEmulator(self._link("unicorn", trace=True), self.board.core)
        samples = inputs if stream else [a[-1:] for a in inputs]

        def invoke(given: list[bytes]) -> EmulatorRun:
            return traced.invoke(given, trace=given[-1:] != [b"\1\0\0\0"] or not self.graph.states)

        run = self._invocations(invoke, samples, stream)[-1]
        steps = []
        for number, step in enumerate(self.arena.steps):
            counts = [count for count in run.steps if count.step == number]  # several if by rows
            name = step.outputs[0]
            type = self.graph.type(name)
            raw = b"".join(count.tensor for count in counts)
            cycles = [count.cycles_estimated for count in counts]
            op: Op = step.node.op  # type: ignore[assignment]
            steps.append(
                StepRun(
                    step.node.label,
                    name,
                    sum(count.instructions for count in counts),
                    None if None in cycles else sum(c for c in cycles if c is not None),
                    op.macs(*self.graph.types(step.node.inputs)),
                    np.frombuffer(raw, numpy_dtype(type.dtype)).reshape(type.shape),
                )
            )
        return tuple(steps)

    def _emulator(self, kind: str) -> UnicornEmulator | QemuEmulator:
        from smidgen.targets.emulators import QemuEmulator, UnicornEmulator

        if kind == "qemu":
            return QemuEmulator(self._link("qemu", trace=False), self.board.core)
        return UnicornEmulator(self.elf, self.board.core)

    def _outputs(self, runs: Sequence[EmulatorRun]) -> list[Array]:
        outputs = []
        for i, type in enumerate(self.graph.output_types):
            raw = b"".join(r.outputs[i] for r in runs)
            array = np.frombuffer(raw, numpy_dtype(type.dtype))
            outputs.append(array.reshape(len(runs) * type.shape[0], *type.shape[1:]).copy())
        return outputs

    def fits(self) -> dict[str, int]:
        """Bytes to spare in flash and RAM (see `limits`); negative where it does not fit."""
        return {
            "flash": self.limits["flash"] - self.flash_bytes,
            "ram": self.limits["ram"] - self.ram_bytes,
        }


def compile(
    graph: Graph,
    board: str | Board = DEFAULT_BOARD,
    out: str | Path | None = None,
    *,
    optimize: str = "balanced",
    flash: int | str | None = None,
    ram: int | str | None = None,
    name: str | None = None,
    toolchain: str | None = None,
) -> Firmware:
    """Compile a graph into a dependency-free C library for a board.

    Args:
        graph: any graph whose every operator has a C kernel, int8 or float.
        board: a board's name (see `smidgen boards`), a path to a `.toml`, or a `Board`.
        out: the folder to write the sources into; None writes none.
        optimize: "speed", "balanced" or "flash". With "speed" larger kernels are chosen where they
            save most cycles for their bytes, as long as code and constants, by estimate, fit.
        flash: bytes they may take together, or text such as "240KB"; the board's flash by default.
        ram: bytes that arena, states and stack may take, or text such as "24KB". Where whole layers
            do not fit, chains of layers run a few rows at a time, as many as it takes, at the price
            of some cycles and some flash. By default the board's RAM; and with "balanced" as little
            as can be had for up to 3 % more cycles, by estimate.
        name: prefix of the C functions; made from the graph's name otherwise.
        toolchain: "gcc" or "zig" for measuring; by default what this machine has.

    Returns:
        The firmware: sizes measured on the linked ELF, and `run`.

    Raises:
        UnsupportedModelError: if an operator has no C kernel.
        BoardError: if the board is unknown.

    Example:
        >>> fw = compile(int8, board="nucleo-l4r5zi", out="firmware/")
        >>> fw.flash_bytes < 64 * 1024, fw.ram_bytes < 16 * 1024
        (True, True)
    """
    from smidgen import __version__
    from smidgen.targets.board import Board, load_board, parse_bytes
    from smidgen.targets.toolchain import find_toolchain

    if optimize not in OPTIMIZE:
        raise SmidgenError(f"optimize={optimize!r}", hint=f"use one of {', '.join(OPTIMIZE)}")
    part = board if isinstance(board, Board) else load_board(board)
    prepared = graph.renamed(name) if name else graph
    budget = parse_bytes(flash) if isinstance(flash, str) else flash
    steps = select_kernels(
        prepared,
        features=features(part),
        optimize=optimize,
        flash=part.flash_bytes if budget is None else budget,
        core=part.core,
    )
    steps = order_steps(prepared, steps)
    asked = parse_bytes(ram) if isinstance(ram, str) else ram
    free = FREE if optimize == "balanced" and asked is None else 0.0
    most = (part.ram_bytes if asked is None else asked) - STACK_BYTES - prepared.state_bytes
    arena = choose_streams(prepared, steps, free=free)
    if arena.bytes > most:
        arena = choose_streams(prepared, steps, ram=most)
    source = emit(prepared, arena, __version__, optimize)
    folder = write_project(source, out) if out is not None else None
    found = find_toolchain(toolchain, part.core) if toolchain else None
    return Firmware(
        prepared,
        part,
        source,
        arena,
        optimize=optimize,
        toolchain=found,
        folder=folder,
        flash=budget,
        ram=asked,
    )


def features(board: Board) -> list[str]:
    """What kernels may use on a board, as `Site.features` names it."""
    core = board.core_info
    return [name for name, has in (("dsp", core.dsp), ("mve", core.mve)) if has]
