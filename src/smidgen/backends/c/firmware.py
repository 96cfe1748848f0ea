"""A graph compiled for a board: the linked ELF, its sizes, and running it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.backends.c._harness import RESET, harness_source
from smidgen.backends.c.arena import Arena
from smidgen.backends.c.emit import Source
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.run import Run, StepRun, outputs_of
from smidgen.backends.c.states import initial_block
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

# What `optimize` means to the compiler.
OPTIMIZE: dict[str, tuple[str, tuple[str, ...]]] = {
    "speed": ("3", ()),
    "balanced": ("2", ()),
    "flash": ("s", ()),
}


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
            outputs_of(graph, runs),
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
