"""Which of the optional system packages this machine has."""

from __future__ import annotations

import shutil

import pytest


def need(toolchain: str, *, qemu: bool = False, riscv: bool = False) -> None:
    """Skip where the system packages are not installed; only tests that may skip call it."""
    gcc = "riscv64-unknown-elf-gcc" if riscv else "arm-none-eabi-gcc"
    machine = "qemu-system-riscv32" if riscv else "qemu-system-arm"
    if toolchain == "gcc" and shutil.which(gcc) is None:
        pytest.skip(f"{gcc} is not installed")
    if qemu and shutil.which(machine) is None:
        pytest.skip(f"{machine} is not installed")
