"""Runs firmware on an emulated Cortex-M0+, M3, M4, M7, M33 or 32-bit RISC-V by way of unicorn.

Example:
    >>> emulator = UnicornEmulator(firmware.elf, "cortex-m4")
    >>> run = emulator.invoke([inputs[0][0].tobytes()])
    >>> np.frombuffer(run.outputs[0], np.int8).shape
    (10,)
    >>> run.instructions > run.cycles_estimated / 3
    True
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.errors import EmulatorError, ToolMissingError
from smidgen.targets.cores import get_core
from smidgen.targets.counts import BlockCount, count_by_function
from smidgen.targets.cycles import CycleModel
from smidgen.targets.elf import Image
from smidgen.targets.emulators.hooks import AlignmentCheck, attach_block_counter
from smidgen.targets.emulators.run import EmulatorRun, StepCount, check_inputs, read_buffers

_PAGE = 0x1000
_PAINT = 0xA5
# System control space: the CPU model keeps its own state, but start-up code writes here.
_SYSTEM_BASE, _SYSTEM_BYTES = 0xE0000000, 0x100000


@dataclass(frozen=True)
class _Architecture:
    """What unicorn calls the things of one architecture.

    Attributes:
        constants: Module of its register and core names.
        prefix: Of its register names.
        stack_pointer: Register.
        link: Register that holds the return address.
        arguments: Registers of the first three arguments; the first one returns the result.
        entry_bit: Set in the addresses of functions: Thumb's mark.
        kind: Names of the architecture and the mode in unicorn itself.
    """

    constants: str
    prefix: str
    stack_pointer: str
    link: str
    arguments: tuple[str, str, str]
    entry_bit: int
    kind: tuple[str, ...]


_ARM = _Architecture(
    *("unicorn.arm_const", "UC_ARM_REG_", "SP", "LR", ("R0", "R1", "R2"), 1),
    ("UC_ARCH_ARM", "UC_MODE_THUMB", "UC_MODE_MCLASS"),
)
_RISCV = _Architecture(
    *("unicorn.riscv_const", "UC_RISCV_REG_", "SP", "RA", ("A0", "A1", "A2"), 0),
    ("UC_ARCH_RISCV", "UC_MODE_RISCV32"),
)
# These fault on unaligned accesses, or may (on RISC-V it is up to the chip); unicorn never does.
_ALIGNED = ("armv6-m", "riscv32")


class UnicornEmulator:
    """One program on one emulated core, loaded and booted once, invoked as often as wanted.

    Memory keeps what an inference leaves in it, as on the chip.

    Args:
        elf: A program linked by ``smidgen.targets.build_firmware``.
        core: What it was compiled for, for example "cortex-m4".
        timeout_seconds: Longest time one inference may take on this machine.
        native: False to count blocks in Python, which needs no host compiler but is twenty
            times slower.
        check_alignment: Stop at an unaligned access. Armv6-M (the M0+) faults on any and RISC-V
            may, and unicorn does not; QEMU has no M0+ either, so this is the only check there is.
            Five times slower, and for those alone: on the others QEMU checks what they cannot do.

    Raises:
        BoardError: The core is unknown.
        EmulatorError: unicorn has no such core, the program is not linked with the harness, or
            the alignment check is asked of another core.
        ToolMissingError: unicorn, pyelftools or capstone is not installed.
    """

    def __init__(
        self,
        elf: str | Path,
        core: str,
        *,
        timeout_seconds: float = 600.0,
        native: bool = True,
        check_alignment: bool = False,
    ) -> None:
        try:
            # By name: the package is only half typed.
            unicorn: Any = import_module("unicorn")
            self._names = _RISCV if get_core(core).architecture == "riscv32" else _ARM
            constants: Any = import_module(self._names.constants)
        except ImportError:
            raise ToolMissingError("unicorn", extra="emulate", purpose="emulation") from None
        model = get_core(core).unicorn_model
        if check_alignment and get_core(core).architecture not in _ALIGNED:
            raise EmulatorError(
                f"alignment cannot be checked for a {core}, which may load unaligned words",
                hint="run it under QEMU, which faults where the core does",
            )
        if model is None:
            raise EmulatorError(f"unicorn emulates no {core}", hint="use the QEMU emulator")
        self.image = Image.load(elf)
        self.core = core
        self._timeout_microseconds = int(timeout_seconds * 1e6)
        self._cycles = CycleModel(self.image, core)
        self._inputs = read_buffers(self.image, "sm_inputs")
        self._outputs = read_buffers(self.image, "sm_outputs")
        self._invoke = self.image.symbol("sm_invoke").address
        self._done = self.image.symbol("sm_done").address
        self._trace = self.image.symbol("sm_trace").address
        self._stack_limit = self.image.symbol("sm_stack_limit").address
        self._stack_top = self.image.symbol("sm_stack_top").address
        begin, end = (self.image.symbol(f"sm_harness_{edge}").address for edge in ("begin", "end"))
        self._harness = range(begin, end)

        self._constants = constants
        self._error = unicorn.UcError
        self._version = f"unicorn {unicorn.__version__}"
        architecture, *modes = (getattr(unicorn, name) for name in self._names.kind)
        self._engine = unicorn.Uc(architecture, sum(modes))
        self._engine.ctl_set_cpu_model(getattr(constants, model))
        self._load()
        self._counter = attach_block_counter(self._engine, native)
        self._alignment = AlignmentCheck(self._engine) if check_alignment else None
        main = self.image.symbol("sm_main").address
        self._engine.ctl_exits_enabled(True)
        self._engine.ctl_set_exits([main, self._done, self._trace])
        # Hooks and exits are compiled into translated blocks: drop any made before.
        self._engine.ctl_flush_tb()
        self._boot(main)

    def _load(self) -> None:
        """Map what the program occupies and nothing else, so that a stray access is an error."""
        unicorn: Any = import_module("unicorn")
        flash = [(s.address, s.address + len(s.data)) for s in self.image.load_segments]
        ram = [(self.image.symbol("sm_data_begin").address, self._stack_top)]
        for ranges, rights in (
            (flash, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC),
            (ram, unicorn.UC_PROT_ALL),
            ([(_SYSTEM_BASE, _SYSTEM_BASE + _SYSTEM_BYTES)], unicorn.UC_PROT_ALL),
        ):
            for begin, end in _page_runs(ranges):
                self._engine.mem_map(begin, end - begin, rights)
        for segment in self.image.load_segments:
            self._engine.mem_write(segment.address, segment.data)

    def _boot(self, main: int) -> None:
        stack, reset = self._stack_top, self.image.symbol("sm_reset").address
        if not self.image.is_riscv:
            vectors = self.image.symbol("sm_vectors").address
            stack, reset = struct.unpack("<II", self.image.read(vectors, 8))
        self._write(self._names.stack_pointer, stack)
        stopped = self._execute(reset)
        if stopped != main:
            raise self._fault(stopped)
        self._counter.take()

    def invoke(self, inputs: Sequence[bytes], *, trace: bool = False) -> EmulatorRun:
        """Run one inference.

        Args:
            inputs: The bytes of each input, in the order of ``sm_inputs``.
            trace: Record every step; the program must have been built with ``SM_TRACE``.

        Returns:
            Outputs, exact instruction count, estimated cycles, stack, and the steps if traced.

        Raises:
            EmulatorError: The inputs do not fit, the program faulted, ran too long, or overran
                its stack, or ``trace`` was asked of a program built without ``SM_TRACE``.
        """
        check_inputs(inputs, self._inputs)
        for data, buffer in zip(inputs, self._inputs, strict=True):
            self._engine.mem_write(buffer.address, data)
        self._engine.mem_write(
            self._stack_limit, bytes([_PAINT]) * (self._stack_top - self._stack_limit)
        )
        self._write(self._names.stack_pointer, self._stack_top)
        self._write(self._names.link, self._done | self._names.entry_bit)

        steps: list[StepCount] = []
        blocks: list[BlockCount] = []
        stopped = self._execute(self._invoke | self._names.entry_bit)
        while stopped == self._trace:
            if trace:
                blocks += (since := self._take())
                steps.append(self._step(since))
            # The call is served from here: go on behind it without running it.
            stopped = self._execute(self._read(self._names.link))
        if stopped != self._done:
            raise self._fault(stopped)
        if trace and not steps:
            raise EmulatorError(
                "the program reports no steps",
                where=str(self.image.path),
                hint="compile the model with -DSM_TRACE",
            )
        blocks += self._take()
        functions = count_by_function(blocks, self.image)
        return EmulatorRun(
            outputs=tuple(bytes(self._engine.mem_read(b.address, b.size)) for b in self._outputs),
            status=_signed(self._read(self._names.arguments[0])),
            instructions=sum(functions.values()),
            cycles_estimated=self._cycles.estimate(blocks),
            stack_bytes=self._painted_stack(),
            functions=functions,
            steps=tuple(steps),
            emulator=self._version,
        )

    def _take(self) -> list[BlockCount]:
        return [block for block in self._counter.take() if block.address not in self._harness]

    def _step(self, blocks: Sequence[BlockCount]) -> StepCount:
        number, address, size = map(self._read, self._names.arguments)
        return StepCount(
            step=_signed(number),
            instructions=sum(count_by_function(blocks, self.image).values()),
            cycles_estimated=self._cycles.estimate(blocks),
            tensor=bytes(self._engine.mem_read(address, size)),
        )

    def _execute(self, start: int) -> int:
        """Run from ``start`` (Thumb bit set on Arm) to one of the exits, and say which."""
        try:
            self._engine.emu_start(start, 0, timeout=self._timeout_microseconds)
        except self._error as error:
            raise self._fault(self._read("PC"), error) from None
        stopped = self._read("PC")
        unaligned = self._alignment.take() if self._alignment else None
        if unaligned:
            address, size = unaligned
            raise self._fault(stopped, f"{size} bytes at 0x{address:08x} are not aligned")
        return stopped

    def _read(self, register: str) -> int:
        number = getattr(self._constants, self._names.prefix + register)
        return int(self._engine.reg_read(number))

    def _write(self, register: str, value: int) -> None:
        number = getattr(self._constants, self._names.prefix + register)
        self._engine.reg_write(number, value)

    def _fault(self, address: int, error: object = "it did not return") -> EmulatorError:
        function = self.image.function_at(address) or "no function"
        seconds = self._timeout_microseconds / 1e6
        return EmulatorError(
            f"the program failed at 0x{address:08x} ({function}): {error}",
            where=str(self.image.path),
            hint=f"look for a stray pointer, an unaligned access or a run of over {seconds:g} s",
        )

    def _painted_stack(self) -> int:
        size = self._stack_top - self._stack_limit
        # By words: the stack pointer is always a multiple of four.
        words = np.frombuffer(self._engine.mem_read(self._stack_limit, size), np.uint32)
        touched = np.flatnonzero(words != _PAINT * 0x01010101)
        if touched.size == 0:
            return 0
        if touched[0] == 0:
            raise EmulatorError(f"the stack of {size} bytes overflowed", where=str(self.image.path))
        return size - 4 * int(touched[0])


def run(
    elf: str | Path, inputs: Sequence[bytes], core: str = "cortex-m4", *, trace: bool = False
) -> EmulatorRun:
    """Load a program and run one inference: ``UnicornEmulator`` in one call.

    Args:
        elf: A program linked by ``smidgen.targets.build_firmware``.
        inputs: The bytes of each input, in the order of ``sm_inputs``.
        core: What it was compiled for.
        trace: Record every step; the program must have been built with ``SM_TRACE``.

    Returns:
        See ``UnicornEmulator.invoke``.
    """
    return UnicornEmulator(elf, core).invoke(inputs, trace=trace)


def _page_runs(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pages that half-open address ranges touch, neighbours joined."""
    runs: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        begin, end = begin // _PAGE * _PAGE, -(-end // _PAGE) * _PAGE
        if runs and begin <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((begin, end))
    return runs


def _signed(word: int) -> int:
    """A register's 32 bits as int."""
    return word - (1 << 32) if word & 0x80000000 else word
