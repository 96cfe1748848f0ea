"""What stands in for a chip: an emulator runs the linked ELF and counts what it executes."""

from __future__ import annotations

from smidgen.targets.emulators.qemu_emulator import QemuEmulator
from smidgen.targets.emulators.run import EmulatorRun, StepCount
from smidgen.targets.emulators.unicorn_emulator import UnicornEmulator, run

__all__ = ["EmulatorRun", "QemuEmulator", "StepCount", "UnicornEmulator", "run"]
