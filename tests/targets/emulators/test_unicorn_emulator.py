from __future__ import annotations

import ctypes
import struct
import time
from pathlib import Path

import pytest

from smidgen.errors import BoardError, EmulatorError
from smidgen.targets import Image, UnicornEmulator, host_compile_shared
from smidgen.targets.counts import instruction_sizes
from smidgen.targets.disassembly import Disassembler
from smidgen.targets.emulators import run
from tests.targets.conftest import PROGRAMS, Build

pytestmark = [pytest.mark.emulator, pytest.mark.toolchain]

CORES = ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"]


@pytest.fixture(scope="session")
def host_result(tmp_path_factory: pytest.TempPathFactory, input_bytes: bytes):
    """The same C, compiled for this machine: (status, output)."""

    def result(program: str) -> tuple[int, bytes]:
        out = tmp_path_factory.mktemp("host") / f"{program}.so"
        library = ctypes.CDLL(str(host_compile_shared([PROGRAMS / f"{program}.c"], out)))
        output = ctypes.create_string_buffer(64)
        status = library.program(ctypes.create_string_buffer(input_bytes, 64), output)
        return status, output.raw

    return result


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("program", ["dot", "control", "floating", "dsp"])
def test_the_chip_computes_what_the_host_computes(
    program: str, core: str, build: Build, input_bytes: bytes, host_result
) -> None:
    emulated = run(build(program, core), [input_bytes], core)
    assert (emulated.status, emulated.outputs[0]) == host_result(program)
    assert emulated.instructions == sum(emulated.functions.values()) > 1000
    assert next(iter(emulated.functions)) != ""
    assert emulated.emulator.startswith("unicorn 2.")


@pytest.mark.parametrize("core", CORES)
def test_instructions_counted_by_hand(core: str, build: Build, input_bytes: bytes) -> None:
    emulated = run(build("countdown", core), [input_bytes], core)
    assert emulated.status == 42
    assert emulated.instructions == 1 + 100 + 100 + 5
    assert emulated.functions == {"program": 206}
    assert emulated.outputs[0][:4] == input_bytes[:4]


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_predicated_instructions_count(core: str, build: Build, input_bytes: bytes) -> None:
    emulated = run(build("predicated", core), [input_bytes], core)
    assert emulated.instructions == 1 + 64 * 9 + 3
    assert emulated.outputs[0] == bytes(1 if value > 127 else 2 for value in input_bytes)


@pytest.mark.parametrize("program", ["control", "dot"])
def test_the_native_hook_counts_as_the_python_hook(
    program: str, build: Build, input_bytes: bytes
) -> None:
    elf = build(program, "cortex-m4")
    native = UnicornEmulator(elf, "cortex-m4").invoke([input_bytes])
    python = UnicornEmulator(elf, "cortex-m4", native=False).invoke([input_bytes])
    assert native == python


def test_an_emulator_is_reused(build: Build, input_bytes: bytes) -> None:
    emulator = UnicornEmulator(build("control", "cortex-m4"), "cortex-m4")
    first = emulator.invoke([input_bytes])
    other = emulator.invoke([bytes(64)])
    assert emulator.invoke([input_bytes]) == first != other


@pytest.mark.parametrize("used", [64, 1024, 4096])
def test_the_stack_is_measured(used: int, build: Build, input_bytes: bytes) -> None:
    elf = build("stack", "cortex-m4", defines=(f"STACK_USED={used}",))
    emulated = run(elf, [input_bytes], "cortex-m4")
    assert used <= emulated.stack_bytes <= used + 48  # saved registers


def test_a_stack_overflow_is_an_error(build: Build, input_bytes: bytes) -> None:
    elf = build("stack", "cortex-m4", defines=("STACK_USED=66000",))
    with pytest.raises(EmulatorError):
        run(elf, [input_bytes], "cortex-m4")


@pytest.mark.parametrize("core", CORES)
def test_every_step_is_traced(core: str, build: Build, input_bytes: bytes) -> None:
    elf = build("steps", core, defines=("SM_TRACE",))
    traced = run(elf, [input_bytes], core, trace=True)
    plus = [bytes((value + n) & 255 for value in input_bytes) for n in (1, 11)]
    assert [step.step for step in traced.steps] == [0, 1, 2]
    assert [step.tensor for step in traced.steps] == [plus[0], plus[1][:32], b"\x63"]
    assert traced.outputs[0] == b"\x63" + plus[1][1:]

    first, second, third = traced.steps
    assert 5 < second.instructions / first.instructions < 12
    assert third.instructions < 20
    assert 0 < traced.instructions - sum(step.instructions for step in traced.steps) < 20
    assert sum(step.cycles_estimated or 0 for step in traced.steps) < traced.cycles_estimated

    # Untraced, the same program costs the same, and the plain build a little less.
    assert run(elf, [input_bytes], core).instructions == traced.instructions
    plain = run(build("steps", core), [input_bytes], core)
    assert 0 < traced.instructions - plain.instructions < 40


def test_a_trace_of_an_untraced_program_is_refused(build: Build, input_bytes: bytes) -> None:
    with pytest.raises(EmulatorError, match="-DSM_TRACE"):
        run(build("steps", "cortex-m4"), [input_bytes], trace=True)


def test_inputs_must_fit(build: Build) -> None:
    emulator = UnicornEmulator(build("dot", "cortex-m4"), "cortex-m4")
    with pytest.raises(EmulatorError, match="input 0: 63 bytes for an input of 64"):
        emulator.invoke([bytes(63)])
    with pytest.raises(EmulatorError, match="2 inputs for a program that takes 1"):
        emulator.invoke([bytes(64), bytes(64)])


@pytest.mark.parametrize("fault", ["STRAY_READ", "WRITE_TO_FLASH", "UNDEFINED"])
def test_a_fault_says_where(fault: str, build: Build, input_bytes: bytes) -> None:
    elf = build("faults", "cortex-m4", defines=(fault,))
    with pytest.raises(EmulatorError, match=r"failed at 0x08[0-9a-f]{6} \(program\)"):
        run(elf, [input_bytes], "cortex-m4")


def test_an_endless_program_is_stopped(build: Build, input_bytes: bytes) -> None:
    elf = build("faults", "cortex-m4", defines=("ENDLESS",))
    emulator = UnicornEmulator(elf, "cortex-m4", timeout_seconds=0.2)
    began = time.monotonic()
    with pytest.raises(EmulatorError, match="did not return"):
        emulator.invoke([input_bytes])
    assert time.monotonic() - began < 10


def test_unaligned_access_on_the_m0plus(build: Build, input_bytes: bytes) -> None:
    elf = build("faults", "cortex-m0plus", defines=("UNALIGNED",))
    checked = UnicornEmulator(elf, "cortex-m0plus", check_alignment=True)
    with pytest.raises(EmulatorError, match=r"4 bytes at 0x200000.1 are not aligned"):
        checked.invoke([input_bytes])
    good = build("control", "cortex-m0plus")
    assert UnicornEmulator(good, "cortex-m0plus", check_alignment=True).invoke(
        [input_bytes]
    ) == run(good, [input_bytes], "cortex-m0plus")
    with pytest.raises(EmulatorError, match="cannot be checked for a cortex-m4"):
        UnicornEmulator(good, "cortex-m4", check_alignment=True)


def test_what_cannot_run_is_refused(build: Build, tmp_path: Path) -> None:
    elf = build("dot", "cortex-m4")
    with pytest.raises(EmulatorError, match="unicorn emulates no cortex-m55; use the QEMU"):
        UnicornEmulator(elf, "cortex-m55")
    with pytest.raises(BoardError, match="unknown core 'avr'"):
        UnicornEmulator(elf, "avr")
    garbage = tmp_path / "garbage.elf"
    garbage.write_bytes(struct.pack("<I", 0xDEADBEEF) * 20)
    with pytest.raises(EmulatorError, match="cannot read it as an ELF file"):
        UnicornEmulator(garbage, "cortex-m4")
    with pytest.raises(EmulatorError, match="cannot read it as an ELF file"):
        UnicornEmulator(tmp_path / "none.elf", "cortex-m4")


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m33"])
def test_two_decoders_agree_on_every_function(core: str, build: Build) -> None:
    """Instruction lengths by rule and by capstone, over the code of real programs."""
    disassembler = Disassembler()
    decoded = 0
    for program in ("dot", "control", "floating"):
        image = Image.load(build(program, core))
        symbol = image.symbol("program")
        code = image.read(symbol.address, symbol.size // 2 * 2)
        # Literal pools are no code: stop at the last return of the function.
        end = max(code.rfind(b"\x70\x47"), code.rfind(b"\xbd"))
        code = code[: (end + 2) // 2 * 2]
        assert len(disassembler.decode(code)) == len(instruction_sizes(code))
        decoded += len(code)
    assert decoded > 300


def test_speed(build: Build, input_bytes: bytes) -> None:
    """At least ten million instructions a second of processor time: the native hook is in use."""
    emulator = UnicornEmulator(build("dot", "cortex-m4"), "cortex-m4")
    emulator.invoke([input_bytes])
    began = time.process_time()
    instructions = sum(emulator.invoke([input_bytes]).instructions for _ in range(50))
    assert instructions / (time.process_time() - began) > 1e7
