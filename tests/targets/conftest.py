"""Builds the C programs of this folder with the real toolchains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smidgen.targets import build_firmware, find_toolchain, qemu_memory

PROGRAMS = Path(__file__).parent / "programs"

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def input_bytes() -> bytes:
    """64 bytes that take every branch of the programs: small, large and extreme values."""
    values = np.random.default_rng(7).integers(-128, 128, 64, dtype=np.int8)
    values[:4] = (-128, 127, 0, -1)
    return values.tobytes()


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """``build(program, core, toolchain="zig", harness="unicorn", defines=())`` → ELF, once each."""
    folder = tmp_path_factory.mktemp("firmware")
    built: dict[object, Path] = {}

    def make(
        program: str,
        core: str,
        toolchain: str = "zig",
        harness: str = "unicorn",
        defines: tuple[str, ...] = (),
        opt_level: str = "2",
    ) -> Path:
        key = (program, core, toolchain, harness, defines, opt_level)
        if key not in built:
            memory = {"memory": qemu_memory(core)} if harness == "qemu" else {}
            built[key] = build_firmware(
                [PROGRAMS / f"{program}.c", PROGRAMS / "harness.c"],
                [],
                folder / f"{len(built)}.elf",
                core,
                toolchain=find_toolchain(toolchain, core),
                opt_level=opt_level,
                defines=defines,
                harness=harness,
                **memory,
            )
        return built[key]

    return make
