"""Boards, compilers, emulators and the cycle model: everything that knows of a real chip.

From C files to proven figures::

    board = load_board("nucleo-l4r5zi")
    elf = build_firmware(sources, include_dirs, "model.elf", board.core)
    footprint = Image.load(elf).footprint           # flash_bytes, static_ram_bytes, constants
    run = UnicornEmulator(elf, board.core).invoke([input_bytes])
    run.outputs, run.instructions, run.cycles_estimated, run.stack_bytes

``smidgen.targets.firmware`` says what the C files must define.
"""

from __future__ import annotations

from smidgen.targets.board import Board, list_boards, load_board
from smidgen.targets.elf import Footprint, Image
from smidgen.targets.emulators import EmulatorRun, QemuEmulator, StepCount, UnicornEmulator
from smidgen.targets.emulators.qemu_emulator import qemu_memory
from smidgen.targets.firmware import MemoryMap, build_firmware, linker_script
from smidgen.targets.toolchain import Toolchain, find_toolchain, host_compile_shared

__all__ = [
    "Board",
    "EmulatorRun",
    "Footprint",
    "Image",
    "MemoryMap",
    "QemuEmulator",
    "StepCount",
    "Toolchain",
    "UnicornEmulator",
    "build_firmware",
    "find_toolchain",
    "host_compile_shared",
    "linker_script",
    "list_boards",
    "load_board",
    "qemu_memory",
]
