"""Runs firmware under QEMU: a second opinion on unicorn, and the only one for the Cortex-M55.

The two share an ancestor, but neither their version nor a line of what counts: here a plugin
counts blocks inside QEMU, the program itself reads its inputs, paints its stack and writes its
outputs by semihosting, and the memory lies elsewhere. Where both report the same, it is so.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from smidgen.errors import EmulatorError, ToolMissingError
from smidgen.targets.cores import get_core
from smidgen.targets.counts import BlockCount, count_by_function
from smidgen.targets.cycles import CycleModel
from smidgen.targets.elf import Image
from smidgen.targets.emulators.native import build_native
from smidgen.targets.emulators.run import EmulatorRun, check_inputs, read_buffers
from smidgen.targets.firmware import MemoryMap

# Program and the Debian package that has it.
_PROGRAMS = {
    "arm": ("qemu-system-arm", "qemu-system-arm"),
    "riscv32": ("qemu-system-riscv32", "qemu-system-misc"),
}
_STACK_OVERFLOW = 0xFFFFFFFF  # what firmware/semihosting.c says then

_MPS2 = MemoryMap(0x00000000, 4 << 20, 0x20000000, 4 << 20)
_MEMORY = {
    "mps2-an385": _MPS2,
    "mps2-an386": _MPS2,
    "mps2-an500": _MPS2,
    # The two TrustZone machines start in the secure state: the secure aliases of their memories.
    "mps2-an505": MemoryMap(0x10000000, 4 << 20, 0x38000000, 4 << 20),
    "mps3-an547": MemoryMap(0x10000000, 512 << 10, 0x30000000, 512 << 10),
    # RISC-V's has one RAM, of 128 MB, and no boot loader is asked for: it starts at the lowest.
    "virt": MemoryMap(0x80000000, 64 << 20, 0x84000000, 64 << 20),
}
_OPTIONS = {"virt": ("-bios", "none")}


def qemu_memory(core: str) -> MemoryMap:
    """Where a program for the machine that stands in for ``core`` must be linked.

    Args:
        core: For example "cortex-m55".

    Returns:
        What ``build_firmware(..., memory=..., harness="qemu")`` takes.

    Raises:
        BoardError: The core is unknown.
        EmulatorError: QEMU has no machine with it.
    """
    return _MEMORY[_machine(core)]


class QemuEmulator:
    """One program on one QEMU machine; every inference starts QEMU anew.

    Args:
        elf: A program linked by ``build_firmware`` with ``harness="qemu"`` and
            ``memory=qemu_memory(core)``.
        core: What it was compiled for.
        timeout_seconds: Longest time one inference may take on this machine.

    Raises:
        BoardError: The core is unknown.
        EmulatorError: QEMU has no such core, or the program is not linked with the harness.
        ToolMissingError: QEMU or pyelftools is not installed.

    Example:
        >>> elf = build_firmware(sources, include_dirs, "kws.elf", "cortex-m7",
        ...     memory=qemu_memory("cortex-m7"), harness="qemu")  # doctest: +SKIP
        >>> QemuEmulator(elf, "cortex-m7").invoke([input_bytes]).instructions  # doctest: +SKIP
    """

    def __init__(self, elf: str | Path, core: str, *, timeout_seconds: float = 600.0) -> None:
        family = "riscv32" if get_core(core).architecture == "riscv32" else "arm"
        name, package = _PROGRAMS[family]
        program = shutil.which(name)
        if program is None:
            raise ToolMissingError(
                name,
                purpose="a second emulator",
                hint=f"install it (Debian: apt install {package})",
            )
        self._program = program
        self.core = core
        self._machine = _machine(core)
        self._timeout = timeout_seconds
        self.image = Image.load(elf)
        self._cycles = CycleModel(self.image, core)
        self._inputs = read_buffers(self.image, "sm_inputs")
        self._outputs = read_buffers(self.image, "sm_outputs")
        self._addresses = ",".join(
            f"{name}=0x{self.image.symbol(symbol).address:x}"
            for name, symbol in (
                ("start", "sm_invoke"),
                ("stop", "sm_done"),
                ("skip_begin", "sm_harness_begin"),
                ("skip_end", "sm_harness_end"),
            )
        )

    def invoke(self, inputs: Sequence[bytes]) -> EmulatorRun:
        """Run one inference.

        Args:
            inputs: The bytes of each input, in the order of ``sm_inputs``.

        Returns:
            Outputs, exact instruction count, estimated cycles (None for the Cortex-M55) and
            stack; no steps.

        Raises:
            EmulatorError: The inputs do not fit, or the program did not end by itself.
            ToolMissingError: There is no host compiler for the counting plugin.
        """
        check_inputs(inputs, self._inputs)
        plugin = build_native("qemu_plugin")
        with tempfile.TemporaryDirectory(prefix="smidgen-qemu-") as name:
            folder = Path(name)
            (folder / "input.bin").write_bytes(b"".join(inputs))
            command = [
                self._program,
                *("-machine", self._machine, *_OPTIONS.get(self._machine, ())),
                *("-display", "none", "-monitor", "none"),
                *("-serial", "none", "-semihosting-config", "enable=on,target=native"),
                *("-kernel", str(self.image.path.resolve())),
                *("-plugin", f"{plugin},{self._addresses},out=blocks.txt"),
            ]
            self._start(command, folder)
            return self._collect(folder)

    def _start(self, command: Sequence[str], folder: Path) -> None:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EmulatorError(
                f"the program did not end within {self._timeout:g} s", where=str(self.image.path)
            ) from None
        if done.returncode != 0 or not (folder / "output.bin").exists():
            printed = done.stderr.strip()[-2000:] or "the program faulted"
            raise EmulatorError(
                f"QEMU ended with status {done.returncode}: {printed}",
                where=str(self.image.path),
                hint="look for a stray pointer or an unaligned access, and link the program with "
                'harness="qemu" and memory=qemu_memory(core)',
            )

    def _collect(self, folder: Path) -> EmulatorRun:
        output = (folder / "output.bin").read_bytes()
        if len(output) != 8 + sum(buffer.size for buffer in self._outputs):
            raise EmulatorError("the outputs are incomplete", where=str(self.image.path))
        status, stack = struct.unpack_from("<iI", output)
        if stack == _STACK_OVERFLOW:
            raise EmulatorError("the stack overflowed", where=str(self.image.path))
        outputs = []
        position = 8
        for buffer in self._outputs:
            outputs.append(output[position : position + buffer.size])
            position += buffer.size
        lines = (folder / "blocks.txt").read_text(encoding="ascii").splitlines()
        blocks = [BlockCount(*map(int, line.split())) for line in lines]
        functions = count_by_function(blocks, self.image)
        return EmulatorRun(
            outputs=tuple(outputs),
            status=status,
            instructions=sum(functions.values()),
            cycles_estimated=self._cycles.estimate(blocks),
            stack_bytes=stack,
            functions=functions,
            emulator=f"{Path(self._program).name} {self._machine}",
        )


def _machine(core: str) -> str:
    machine = get_core(core).qemu_machine
    if machine is None:
        raise EmulatorError(f"QEMU has no machine with a {core}", hint="use the unicorn emulator")
    return machine
