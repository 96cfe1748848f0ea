"""Which of the optional system packages this machine has."""

from __future__ import annotations

import shutil

import pytest


def need(toolchain: str, *, qemu: bool = False) -> None:
    """Skip where the system packages are not installed; only tests that may skip call it."""
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    if qemu and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
