"""Two emulators, two ways of counting: they agree on every number or the number is wrong."""

from __future__ import annotations

import pytest

from smidgen.errors import EmulatorError
from smidgen.targets import QemuEmulator, UnicornEmulator
from tests.targets.conftest import Build
from tests.targets.tools import need

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.toolchain,
    pytest.mark.may_skip("qemu-system-arm and arm-none-eabi-gcc are system packages"),
]


# Every kind of program on the three main cores, and the others once with each compiler.
CASES = [
    (program, core, toolchain)
    for toolchain in ("gcc", "zig")
    for core in ("cortex-m0plus", "cortex-m4", "cortex-m7")
    for program in ("dot", "control", "floating")
] + [
    ("control", "cortex-m3", "gcc"),
    ("control", "cortex-m33", "zig"),
    ("dsp", "cortex-m33", "gcc"),
    ("dsp", "cortex-m4", "zig"),
    ("steps", "cortex-m7", "gcc"),
    ("predicated", "cortex-m4", "gcc"),
]


@pytest.mark.parametrize(("program", "core", "toolchain"), CASES)
def test_qemu_and_unicorn_agree(
    program: str, core: str, toolchain: str, build: Build, input_bytes: bytes
) -> None:
    need(toolchain, qemu=True)
    unicorn = UnicornEmulator(build(program, core, toolchain), core).invoke([input_bytes])
    qemu = QemuEmulator(build(program, core, toolchain, "qemu"), core).invoke([input_bytes])
    assert qemu.outputs == unicorn.outputs
    assert qemu.status == unicorn.status
    assert qemu.instructions == unicorn.instructions
    assert qemu.functions == unicorn.functions
    assert qemu.cycles_estimated == unicorn.cycles_estimated
    assert qemu.stack_bytes == unicorn.stack_bytes


@pytest.mark.parametrize("opt_level", ["0", "s", "3"])
def test_they_agree_at_every_optimization_level(
    opt_level: str, build: Build, input_bytes: bytes
) -> None:
    need("gcc", qemu=True)
    core = "cortex-m4"
    unicorn = UnicornEmulator(build("control", core, "gcc", opt_level=opt_level), core)
    qemu = QemuEmulator(build("control", core, "gcc", "qemu", opt_level=opt_level), core)
    one, other = unicorn.invoke([input_bytes]), qemu.invoke([input_bytes])
    assert (one.outputs, one.instructions, one.stack_bytes) == (
        other.outputs,
        other.instructions,
        other.stack_bytes,
    )


def test_the_m55_runs_helium(build: Build, input_bytes: bytes) -> None:
    need("gcc", qemu=True)
    core = "cortex-m55"
    reference = UnicornEmulator(build("vector", "cortex-m4"), "cortex-m4").invoke([input_bytes])
    emulated = QemuEmulator(build("vector", core, "gcc", "qemu", opt_level="3"), core).invoke(
        [input_bytes]
    )
    assert emulated.outputs == reference.outputs
    assert 0 < emulated.instructions < reference.instructions / 4
    assert emulated.cycles_estimated is None  # no timings are known


@pytest.mark.parametrize("fault", ["UNDEFINED"])
def test_a_fault_ends_the_run(fault: str, build: Build, input_bytes: bytes) -> None:
    need("zig", qemu=True)
    elf = build("faults", "cortex-m4", "zig", "qemu", (fault,))
    with pytest.raises(EmulatorError, match="QEMU ended with status 1: the program faulted"):
        QemuEmulator(elf, "cortex-m4").invoke([input_bytes])


def test_an_endless_program_is_stopped(build: Build, input_bytes: bytes) -> None:
    need("zig", qemu=True)
    elf = build("faults", "cortex-m4", "zig", "qemu", ("ENDLESS",))
    with pytest.raises(EmulatorError, match=r"did not end within 0\.5 s"):
        QemuEmulator(elf, "cortex-m4", timeout_seconds=0.5).invoke([input_bytes])


def test_a_stack_overflow_is_an_error(build: Build, input_bytes: bytes) -> None:
    need("zig", qemu=True)
    elf = build("stack", "cortex-m4", "zig", "qemu", ("STACK_USED=66000",))
    with pytest.raises(EmulatorError, match="the stack overflowed"):
        QemuEmulator(elf, "cortex-m4").invoke([input_bytes])
