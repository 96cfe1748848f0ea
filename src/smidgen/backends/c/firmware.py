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

from smidgen.backends.c._harness import RESET, harness_source
from smidgen.backends.c.arena import Arena
from smidgen.backends.c.choose_streams import FREE, choose_streams
from smidgen.backends.c.emit import Source, c_identifier, emit_library
from smidgen.backends.c.order_steps import order_steps
from smidgen.backends.c.project import write_project, write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.c.states import initial_block, lay_out
from smidgen.backends.c.stream import Stream
from smidgen.errors import DataError, EmulatorError, SmidgenError
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
        state: what the model remembers in the end, for another run to go on from; None if it
            remembers nothing, or the samples were run on the host one by one.
    """

    outputs: list[Array]
    on: str
    instructions: int | None = None
    cycles: int | None = None
    stack_bytes: int | None = None
    steps: tuple[StepRun, ...] = ()
    state: bytes | None = None


class Firmware:
    """A graph compiled for a board. Made by `compile`.

    Attributes:
        graph: what was compiled; of several functions the first.
        board: what for.
        source: the generated C.
        arena: its planned tensor arena.
        functions: all functions' graphs and arenas.
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
        functions: Sequence[tuple[Graph, Arena]] | None = None,
        optimize: str = "balanced",
        toolchain: Toolchain | None = None,
        folder: Path | None = None,
        flash: int | None = None,
        ram: int | None = None,
    ) -> None:
        self.functions = tuple(functions or [(graph, arena)])
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
        self._hosts: dict[int, HostModel] = {}
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

    def _link(self, harness: str, *, trace: bool, function: int = 0) -> Path:
        from smidgen.targets.emulators.qemu_emulator import qemu_memory
        from smidgen.targets.firmware import ROOMY, build_firmware

        folder = self._work
        write_sources(self.source, folder)
        (folder / "sm_model_harness.c").write_text(
            harness_source(self.source, self.functions, function), encoding="utf-8"
        )
        level, defines = OPTIMIZE[self.optimize]
        name = f"{self.source.functions[function]}-{harness}{'-trace' if trace else ''}.elf"
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
        return max(arena.bytes for _, arena in self.functions)

    @property
    def state_bytes(self) -> int:
        """What the model remembers between steps, beside the arena."""
        return self.source.state_bytes

    @property
    def streams(self) -> list[list[str]]:
        """The layers that run by rows, some rows of each at a time, chain by chain."""
        calls = [call for _, arena in self.functions for call in arena.calls]
        chains = [call for call in calls if isinstance(call, Stream)]
        return [[step.node.label for step in chain.steps] for chain in chains]

    @cached_property
    def stack_bytes(self) -> int:
        """Deepest stack of one inference, found by painting it in the emulator."""
        deepest = 0
        for graph, _ in self.functions:
            zeros = [np.zeros(t.shape, numpy_dtype(t.dtype)) for t in graph.input_types]
            run = self.run(zeros, on="emulator", function=graph.signature or None)
            assert run.stack_bytes is not None
            deepest = max(deepest, run.stack_bytes)
        return deepest

    @property
    def ram_bytes(self) -> int:
        """Peak RAM: static data (the arena among it) plus the deepest stack."""
        return self.footprint.static_ram_bytes + self.stack_bytes

    # -- running -------------------------------------------------------------------------------

    @cached_property
    def host(self) -> HostModel:
        """The same C compiled for this machine; of several functions the first."""
        return self._host(0)

    def _host(self, number: int) -> HostModel:
        from smidgen.backends.c.host import QUICK, HostModel

        if number not in self._hosts:
            graph, arena = self.functions[number]
            self._hosts[number] = HostModel(graph, flags=QUICK, arena=arena)
        return self._hosts[number]

    def run(
        self,
        inputs: Array | Sequence[Array],
        on: str = "emulator",
        *,
        stream: bool = False,
        state: bytes | None = None,
        function: str | None = None,
        profile: bool = False,
    ) -> Run:
        """Run n samples.

        Args:
            inputs: one array (n, ...) or one for each input, in the inputs' dtypes.
            on: "emulator" (unicorn, or QEMU for a core that unicorn lacks), "unicorn", "qemu" or
                "host".
            stream: whether the samples are consecutive steps of a model with states. Otherwise
                each finds the states as they are at first.
            state: what the model remembers at first, from an earlier run; the samples then are
                consecutive steps. It is as after a reset otherwise.
            function: which function of the model, by its signature; the first one otherwise.
            profile: also record every layer of the last sample (emulator only).

        Returns:
            Outputs, and for an emulator the exact instructions, estimated cycles and stack.

        Raises:
            DataError: if the arrays do not fit.
            EmulatorError: if the firmware fails.
            SmidgenError: if asked to profile on the host.
            ToolMissingError: if the emulator or a compiler is not installed.
        """
        number = self._number(function)
        graph, _ = self.functions[number]
        arrays = check_inputs(graph, inputs)
        if state is not None and len(state) != self.state_bytes:
            raise DataError(
                f"{len(state)} bytes of states",
                hint=f"give the {self.state_bytes} bytes of an earlier run",
            )
        if on == "host":
            if profile:
                raise SmidgenError(
                    "this machine's instructions say nothing about a chip's",
                    where="profile",
                    hint="run on the emulator",
                )
            return self._on_host(number, arrays, stream, state)
        if on not in ("emulator", "unicorn", "qemu"):
            raise SmidgenError(f"cannot run on {on!r}", hint="use emulator, qemu or host")
        if on == "emulator":
            on = "unicorn" if self.board.core_info.unicorn_model else "qemu"
        emulator = self._emulator(on, number)
        runs = self._invocations(emulator.invoke, graph, arrays, stream, state)
        steps: tuple[StepRun, ...] = ()
        if profile:
            steps = self.profile(arrays, stream=stream, state=state, function=function)
        return Run(
            _outputs(graph, runs),
            runs[-1].emulator,
            runs[-1].instructions,
            runs[-1].cycles_estimated,
            max(r.stack_bytes for r in runs),
            steps,
            runs[-1].outputs[-1] if self.state_bytes else None,
        )

    def _number(self, function: str | None) -> int:
        keys = [graph.signature for graph, _ in self.functions]
        if function is None:
            return 0
        if function not in keys:
            have = ", ".join(map(repr, keys))
            raise SmidgenError(f"no function {function!r}", hint=f"the model has {have}")
        return keys.index(function)

    def _on_host(self, number: int, arrays: list[Array], stream: bool, state: bytes | None) -> Run:
        host = self._host(number)
        if not self.state_bytes or (state is None and not stream):
            return Run(host.run(arrays), "host")
        graphs = [graph for graph, _ in self.functions]
        offsets = self.arena.states.offsets
        block = initial_block(graphs, offsets, self.state_bytes) if state is None else state
        outputs, block = host.run_from(block, arrays)
        return Run(outputs, "host", state=block)

    def _invocations(
        self,
        invoke: Callable[[list[bytes]], EmulatorRun],
        graph: Graph,
        arrays: Sequence[Array],
        stream: bool,
        state: bytes | None,
    ) -> list[EmulatorRun]:
        """Run samples one after the other; the states' block is handed on, or reset, between."""
        stateful, several = bool(self.state_bytes), len(self.functions) > 1
        fresh = block = state or b""
        if stateful and state is None:
            zeros = [bytes(type.bytes) for type in graph.input_types]
            reset = invoke([*zeros, bytes(self.state_bytes), RESET.to_bytes(4, "little")])
            fresh = block = reset.outputs[-1]
        stream = stream or state is not None
        runs = []
        for i in range(len(arrays[0])):
            given = [np.ascontiguousarray(a[i]).tobytes() for a in arrays]
            given += [block, bytes(4)] if stateful else [bytes(4)] if several else []
            runs.append(run := invoke(given))
            if run.status != 0:
                raise EmulatorError(f"the firmware returned {run.status}")
            if stateful:
                block = run.outputs[-1] if stream else fresh
        return runs

    def profile(
        self,
        inputs: Sequence[Array],
        *,
        stream: bool = False,
        state: bytes | None = None,
        function: str | None = None,
    ) -> tuple[StepRun, ...]:
        """Every layer of the last sample: exact instructions, estimated cycles, the tensor.

        Args:
            inputs: one array (n, ...) for each input.
            stream: whether they are consecutive steps, which run before the last one.
            state: as in `run`.
            function: as in `run`.
        """
        from smidgen.targets.emulators import UnicornEmulator

        chosen = self._number(function)
        graph, arena = self.functions[chosen]
        elf = self._link("unicorn", trace=True, function=chosen)
        traced = UnicornEmulator(elf, self.board.core)
        samples = inputs if stream or state is not None else [a[-1:] for a in inputs]
        first = sum(len(arena.steps) for _, arena in self.functions[:chosen])

        stateful, reset = bool(self.state_bytes), RESET.to_bytes(4, "little")

        def invoke(given: list[bytes]) -> EmulatorRun:
            return traced.invoke(given, trace=not (stateful and given[-1] == reset))

        run = self._invocations(invoke, graph, samples, stream, state)[-1]
        steps = []
        for number, step in enumerate(arena.steps, first):
            counts = [count for count in run.steps if count.step == number]  # several if by rows
            name = step.outputs[0]
            type = graph.type(name)
            raw = b"".join(count.tensor for count in counts)
            cycles = [count.cycles_estimated for count in counts]
            op: Op = step.node.op  # type: ignore[assignment]
            steps.append(
                StepRun(
                    step.node.label,
                    name,
                    sum(count.instructions for count in counts),
                    None if None in cycles else sum(c for c in cycles if c is not None),
                    op.macs(*graph.types(step.node.inputs)),
                    np.frombuffer(raw, numpy_dtype(type.dtype)).reshape(type.shape),
                )
            )
        return tuple(steps)

    def _emulator(self, kind: str, function: int) -> UnicornEmulator | QemuEmulator:
        from smidgen.targets.emulators import QemuEmulator, UnicornEmulator

        if kind == "qemu":
            elf = self._link("qemu", trace=False, function=function)
            return QemuEmulator(elf, self.board.core)
        elf = self._link("unicorn", trace=False, function=function) if function else self.elf
        return UnicornEmulator(elf, self.board.core)

    def fits(self) -> dict[str, int]:
        """Bytes to spare in flash and RAM (see `limits`); negative where it does not fit."""
        return {
            "flash": self.limits["flash"] - self.flash_bytes,
            "ram": self.limits["ram"] - self.ram_bytes,
        }


def _outputs(graph: Graph, runs: Sequence[EmulatorRun]) -> list[Array]:
    outputs = []
    for i, type in enumerate(graph.output_types):
        raw = b"".join(r.outputs[i] for r in runs)
        array = np.frombuffer(raw, numpy_dtype(type.dtype))
        outputs.append(array.reshape(len(runs) * type.shape[0], *type.shape[1:]).copy())
    return outputs


def compile(
    graph: Graph | Sequence[Graph],
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
        graph: any graph whose every operator has a C kernel, int8 or float. Or several, functions
            of one model with different signatures, which become one library: they share
            constants, states of the same name, and the arena.
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
    graphs = [graph] if isinstance(graph, Graph) else list(graph)
    graphs = [g.renamed(name or graphs[0].name) for g in graphs]
    _check_signatures(graphs)
    budget = parse_bytes(flash) if isinstance(flash, str) else flash
    asked = parse_bytes(ram) if isinstance(ram, str) else ram
    offsets, state_bytes = lay_out(graphs)
    free = FREE if optimize == "balanced" and asked is None else 0.0
    most = (part.ram_bytes if asked is None else asked) - STACK_BYTES - state_bytes
    functions = []
    for prepared in graphs:
        steps = select_kernels(
            prepared,
            features=features(part),
            optimize=optimize,
            flash=(part.flash_bytes if budget is None else budget) // len(graphs),
            core=part.core,
        )
        steps = order_steps(prepared, steps)
        arena = choose_streams(prepared, steps, free=free)
        if arena.bytes > most:
            arena = choose_streams(prepared, steps, ram=most)
        functions.append((prepared, arena.laid_out(prepared, offsets, state_bytes)))
    source = emit_library(graphs[0].name, functions, __version__, optimize)
    folder = write_project(source, out) if out is not None else None
    found = find_toolchain(toolchain, part.core) if toolchain else None
    return Firmware(
        graphs[0],
        part,
        source,
        functions[0][1],
        functions=functions,
        optimize=optimize,
        toolchain=found,
        folder=folder,
        flash=budget,
        ram=asked,
    )


def _check_signatures(graphs: Sequence[Graph]) -> None:
    """Raise SmidgenError unless several functions can be told apart by name."""
    if not graphs:
        raise SmidgenError("nothing to compile", hint="give a graph, or several")
    names = [c_identifier(graph.signature) for graph in graphs]
    if len(graphs) > 1 and (len(set(names)) < len(names) or not all(g.signature for g in graphs)):
        keys = ", ".join(repr(graph.signature) for graph in graphs)
        raise SmidgenError(
            f"functions called {keys} cannot be told apart",
            hint="give each a key of its own: dataclasses.replace(graph, signature=...)",
        )


def features(board: Board) -> list[str]:
    """What kernels may use on a board, as `Site.features` names it."""
    core = board.core_info
    return [name for name, has in (("dsp", core.dsp), ("mve", core.mve)) if has]
