"""RISC-V runs through the same tools as Arm; what differs is tried here."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from smidgen.errors import EmulatorError
from smidgen.targets import Image, QemuEmulator, UnicornEmulator, host_compile_shared
from smidgen.targets.counts import instruction_sizes
from smidgen.targets.cycles_riscv import RiscvTimings
from smidgen.targets.emulators import run
from tests.targets.conftest import PROGRAMS, Build
from tests.targets.tools import need

pytestmark = [pytest.mark.emulator, pytest.mark.toolchain]

CORES = ["rv32imc", "rv32imac"]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("program", ["dot", "control", "floating", "dsp"])
def test_the_chip_computes_what_the_host_computes(
    program: str, core: str, build: Build, input_bytes: bytes, tmp_path: Path
) -> None:
    library = ctypes.CDLL(
        str(host_compile_shared([PROGRAMS / f"{program}.c"], tmp_path / f"{program}.so"))
    )
    output = ctypes.create_string_buffer(64)
    status = library.program(ctypes.create_string_buffer(input_bytes, 64), output)
    emulated = run(build(program, core), [input_bytes], core)
    assert (emulated.status, emulated.outputs[0]) == (status, output.raw)
    assert emulated.instructions == sum(emulated.functions.values()) > 1000
    assert next(iter(emulated.functions)) != ""


def test_instructions_counted_by_hand(build: Build, input_bytes: bytes) -> None:
    emulated = run(build("countdown", "rv32imc"), [input_bytes], "rv32imc")
    assert emulated.status == 42
    assert emulated.instructions == 1 + 100 + 100 + 5
    assert emulated.functions == {"program": 206}
    # A backward branch is predicted: it costs a cycle more once, as does the return.
    assert emulated.cycles_estimated == 206 + 1 + 1
    assert emulated.outputs[0][:4] == input_bytes[:4]


def test_every_step_is_traced(build: Build, input_bytes: bytes) -> None:
    elf = build("steps", "rv32imc", defines=("SM_TRACE",))
    traced = run(elf, [input_bytes], "rv32imc", trace=True)
    plus = [bytes((value + n) & 255 for value in input_bytes) for n in (1, 11)]
    assert [step.step for step in traced.steps] == [0, 1, 2]
    assert [step.tensor for step in traced.steps] == [plus[0], plus[1][:32], b"\x63"]
    assert run(elf, [input_bytes], "rv32imc").instructions == traced.instructions


@pytest.mark.parametrize("used", [64, 1024, 4096])
def test_the_stack_is_measured(used: int, build: Build, input_bytes: bytes) -> None:
    elf = build("stack", "rv32imc", defines=(f"STACK_USED={used}",))
    assert used <= run(elf, [input_bytes], "rv32imc").stack_bytes <= used + 48


@pytest.mark.parametrize("fault", ["STRAY_READ", "WRITE_TO_FLASH", "UNDEFINED"])
def test_a_fault_says_where(fault: str, build: Build, input_bytes: bytes) -> None:
    elf = build("faults", "rv32imc", defines=(fault,))
    with pytest.raises(EmulatorError, match=r"failed at 0x08[0-9a-f]{6} \(program\)"):
        run(elf, [input_bytes], "rv32imc")


def test_unaligned_access(build: Build, input_bytes: bytes) -> None:
    elf = build("faults", "rv32imc", defines=("UNALIGNED",))
    with pytest.raises(EmulatorError, match=r"4 bytes at 0x200000.1 are not aligned"):
        UnicornEmulator(elf, "rv32imc", check_alignment=True).invoke([input_bytes])


def test_two_decoders_agree(build: Build) -> None:
    """Instruction lengths by rule and by capstone, over the code of real programs."""
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    for program in ("dot", "control", "floating"):
        image = Image.load(build(program, "rv32imc"))
        symbol = image.symbol("program")
        code = image.read(symbol.address, symbol.size)
        assert image.is_riscv
        sizes = instruction_sizes(code, riscv=True)
        assert sizes == [i.size for i in engine.disasm(code, symbol.address)]
        assert {2, 4} == set(sizes)


def test_cycles_of_a_block() -> None:
    timings = RiscvTimings()
    # lw a5, 0(a0); addi a4, a5, 1; lw a3, 4(a0); sw a3, 0(a1); div a2, a4, a3; ret
    waits, stores, ends = "0005278300178713", "0045268300d5a023", "02d7463300008067"
    for words, cycles in ((waits, 3), (stores, 2), (waits + stores + ends, 3 + 2 + 18 + 2)):
        code = b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))
        assert timings.block_costs(code, 0x1000) == (cycles, cycles)
    forward, backward = bytes.fromhex("11c1"), bytes.fromhex("75fd")  # c.beqz a0, 4; c.bnez a0, -4
    assert timings.block_costs(forward, 0x1000) == (1, 2)
    assert timings.block_costs(backward, 0x1000) == (2, 1)


@pytest.mark.may_skip("qemu-system-riscv32 and riscv64-unknown-elf-gcc are system packages")
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("program", ["dot", "control", "floating"])
def test_qemu_and_unicorn_agree(
    program: str, toolchain: str, build: Build, input_bytes: bytes
) -> None:
    need(toolchain, qemu=True, riscv=True)
    core = "rv32imc"
    unicorn = UnicornEmulator(build(program, core, toolchain), core).invoke([input_bytes])
    qemu = QemuEmulator(build(program, core, toolchain, "qemu"), core).invoke([input_bytes])
    assert qemu.outputs == unicorn.outputs
    assert qemu.status == unicorn.status
    assert qemu.instructions == unicorn.instructions
    assert qemu.functions == unicorn.functions
    assert qemu.cycles_estimated == unicorn.cycles_estimated
    assert qemu.stack_bytes == unicorn.stack_bytes


@pytest.mark.may_skip("qemu-system-riscv32 is a system package")
def test_a_fault_ends_a_run_under_qemu(build: Build, input_bytes: bytes) -> None:
    need("zig", qemu=True, riscv=True)
    elf = build("faults", "rv32imc", "zig", "qemu", ("UNDEFINED",))
    with pytest.raises(EmulatorError, match="QEMU ended with status 1: the program faulted"):
        QemuEmulator(elf, "rv32imc").invoke([input_bytes])
