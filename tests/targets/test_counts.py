from __future__ import annotations

from smidgen.targets.counts import instruction_sizes


def test_sizes_follow_the_first_halfword() -> None:
    # bx lr; ldr.w r0, [pc, #0]; push {r4}; b.w .; adds r0, #1
    code = bytes.fromhex("7047dff8000010b4fff7feff0130")
    assert instruction_sizes(code) == [2, 4, 2, 4, 2]


def test_a_helium_instruction_is_four_bytes() -> None:
    assert instruction_sizes(bytes.fromhex("01ef4208")) == [4]  # vadd.i8 q0, q0, q1
    assert instruction_sizes(b"") == []
