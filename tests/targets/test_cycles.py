from __future__ import annotations

import pytest

from smidgen.targets import UnicornEmulator
from smidgen.targets.counts import BlockCount
from smidgen.targets.cycles import SingleIssueTimings
from smidgen.targets.cycles_m7 import DualIssueTimings
from smidgen.targets.disassembly import Disassembler, Kind
from tests.targets.conftest import Build

pytestmark = pytest.mark.emulator

M4 = SingleIssueTimings()


def decode(hexadecimal: str):
    return Disassembler().decode(bytes.fromhex(hexadecimal.replace(" ", "")))


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        ("0868", 2),  # ldr r0, [r1]
        ("0868 5368", 2 + 1),  # ldr r0, [r1]; ldr r3, [r2, #4]: pipelined
        ("0868 0268", 2 + 2),  # ldr r0, [r1]; ldr r2, [r0]: needs the loaded address
        ("0868 5360", 2 + 1),  # ldr r0, [r1]; str r3, [r2, #4]
        ("5360", 1),  # str r3, [r2, #4]
        ("5350", 2),  # str r3, [r2, r1]
        ("0868 5350", 2 + 1),  # ldr r0, [r1]; str r3, [r2, r1]
        ("d2e90001", 1 + 2),  # ldrd r0, r1, [r2]
        ("0ec8", 1 + 3),  # ldm r0!, {r1, r2, r3}
        ("30b5", 1 + 3),  # push {r4, r5, lr}
        ("30bd", 1 + 3 + 2),  # pop {r4, r5, pc}
        ("01fb02f0", 1),  # mul r0, r1, r2
        ("21fb0230", 1),  # smlad r0, r1, r2, r3
        ("81fb0203", 1),  # smull r0, r3, r1, r2
        ("91fbf2f0", 12),  # sdiv r0, r1, r2
        ("fee7", 3),  # b .
        ("fff7feff", 3),  # bl .
        ("7047", 3),  # bx lr
        ("dfe800f0", 4),  # tbb [pc, r0]
        ("0130 0130", 2),  # adds r0, #1 twice
        ("00ee811a", 3),  # vmla.f32 s2, s1, s2
        ("80ee801a", 14),  # vdiv.f32 s2, s1, s0
        ("90ed000a", 2),  # vldr s0, [r0]
        ("b0ec040a", 1 + 4),  # vldmia r0!, {s0-s3}
    ],
)
def test_the_m4_table(code: str, cycles: int) -> None:
    assert M4.block_cycles(decode(code), taken=True) == cycles


def test_a_branch_not_taken_takes_one_cycle() -> None:
    block = decode("fed1")  # bne .
    assert block[0].conditional
    assert M4.block_cycles(block, taken=False) == 1
    assert M4.block_cycles(block, taken=True) == 3


def test_what_the_disassembler_tells() -> None:
    load, pop, predicated = (
        decode("5158")[0],  # ldr r1, [r2, r1]
        decode("10bd")[0],  # pop {r4, pc}
        decode("08bf 7047")[1],  # it eq; bxeq lr
    )
    assert (load.kind, load.register_offset, load.address) == (
        Kind.LOAD,
        True,
        frozenset({"r1", "r2"}),
    )
    assert (pop.kind, pop.transfers, pop.loads_pc, pop.is_branch) == (
        Kind.LOAD_MULTIPLE,
        2,
        True,
        True,
    )
    assert (predicated.kind, predicated.conditional) == (Kind.BRANCH_REGISTER, True)
    # A Helium instruction, unknown to capstone, does not stop the decoding.
    assert [i.kind for i in decode("01ef4208 7047")][-1] is Kind.BRANCH_REGISTER


def test_the_m7_issues_two_at_once() -> None:
    m7 = DualIssueTimings()
    assert m7.block_cycles(decode("0130 0131"), taken=False) == 1  # adds r0, #1; adds r1, #1
    assert m7.block_cycles(decode("0130 0130"), taken=False) == 2  # the second needs the first
    assert m7.block_cycles(decode("0868 0130"), taken=False) == 3  # a load is ready after two
    assert m7.block_cycles(decode("0868 5368"), taken=False) == 2  # one memory access a cycle
    assert m7.block_cycles(decode("0868 0133"), taken=False) == 1  # load beside arithmetic
    assert m7.block_cycles(decode("21fb0230 21fb0231"), taken=False) == 2  # one multiplier


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("core", "cycles"),
    [
        # movs 1, subs 100, bne 99 taken and 1 not, two loads, store, movs 1, bx lr
        ("cortex-m0plus", 1 + 100 + 99 * 2 + 1 + 4 + 2 + 1 + 2),
        ("cortex-m3", 1 + 100 + 99 * 3 + 1 + 3 + 1 + 1 + 3),
        ("cortex-m4", 1 + 100 + 99 * 3 + 1 + 3 + 1 + 1 + 3),
        ("cortex-m33", 1 + 100 + 99 * 3 + 1 + 3 + 1 + 1 + 3),
    ],
)
def test_cycles_counted_by_hand(core: str, cycles: int, build: Build, input_bytes: bytes) -> None:
    emulated = UnicornEmulator(build("countdown", core), core).invoke([input_bytes])
    assert emulated.cycles_estimated == cycles


@pytest.mark.toolchain
@pytest.mark.parametrize("program", ["dot", "control", "floating", "dsp"])
def test_cycles_are_in_reason(program: str, build: Build, input_bytes: bytes) -> None:
    """At least one cycle an instruction where one issues at a time, half where two may."""
    for core, least, most in (
        ("cortex-m0plus", 1.0, 2.5),
        ("cortex-m4", 1.0, 2.5),
        ("cortex-m7", 0.5, 2.5),
    ):
        emulated = UnicornEmulator(build(program, core), core).invoke([input_bytes])
        assert emulated.cycles_estimated is not None
        assert least <= emulated.cycles_estimated / emulated.instructions <= most, core


@pytest.mark.toolchain
def test_a_branch_to_the_next_instruction_is_still_taken(build: Build) -> None:
    emulator = UnicornEmulator(build("countdown", "cortex-m4"), "cortex-m4")
    last = emulator.image.symbol("program")
    returns = last.address + last.size - 2
    fell = [BlockCount(returns, 2, executions=5, fallthroughs=5)]
    assert emulator._cycles.estimate(fell) == 15
