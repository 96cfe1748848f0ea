"""Estimated cycles: instruction counts weighed with the core manual's timings.

An estimate, never a measurement. It knows how often each basic block ran and how often its branch
was taken. It assumes memory without wait states, and does not know of caches, flash accelerators,
bus contention, write-buffer stalls or interrupts.

============ ==================================================================================
cortex-m0+   Cortex-M0+ technical reference manual, table 3-1; single-cycle multiplier, as all our
             boards have. Loads and stores 2, branch 1 or 2, BL 3, POP {pc} 3+N.
cortex-m3    Cortex-M3 manual, table 3-1: as the M4, but MLA 2, long multiplies 4, MAC long 6.
cortex-m4    Cortex-M4 manual, table 3-1 and section 3.3.3: a load takes 2 cycles, and 1 behind
             another load unless that makes its address; STR with an immediate offset takes 1 and
             with a register offset 2; LDM, STM, LDRD, PUSH, POP 1+N; every MUL, MLA and SMLAD 1;
             SDIV 12 (its worst: 2 to 12); a taken branch 1+P with pipeline refill P = 2 (the
             manual says 1 to 3); IT 1 (it may fold to 0). VMLA 3, VDIV and VSQRT 14.
cortex-m33   Arm publishes no timings: the M4's are used. The M33 pairs some 16-bit instructions,
             so the truth may be lower.
cortex-m7    Arm publishes no timings: see ``smidgen.targets.cycles_m7`` for what is assumed.
rv32imac     The Hazard3 of the RP2350 documents its own: see ``smidgen.targets.cycles_riscv``.
rv32imc      Espressif publishes no timings of the ESP32-C3: the Hazard3's are used.
============ ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smidgen.targets.counts import BlockCount
from smidgen.targets.cycles_m7 import DualIssueTimings
from smidgen.targets.cycles_riscv import RiscvTimings
from smidgen.targets.disassembly import Disassembler, Instruction, Kind
from smidgen.targets.elf import Image


class Timings(Protocol):
    """How long a basic block takes."""

    def block_cycles(self, block: Sequence[Instruction], taken: bool) -> int:
        """Cycles of one pass through ``block``, whose last branch is taken or not."""


@dataclass(frozen=True)
class SingleIssueTimings:
    """Cycles by kind for cores that issue one instruction at a time; the defaults are the M4's."""

    multiply_accumulate: int = 1
    multiply_long: int = 1
    multiply_accumulate_long: int = 1
    divide: int = 12
    load: int = 2
    load_behind_load: int = 1
    store: int = 1
    store_register_offset: int = 2
    branch_taken: int = 3
    call: int = 3
    table_branch: int = 4
    load_pc_extra: int = 2
    float_multiply_accumulate: int = 3
    float_divide: int = 14
    system: int = 1

    def block_cycles(self, block: Sequence[Instruction], taken: bool) -> int:
        """Cycles of one pass through ``block``, whose last branch is taken or not."""
        total = 0
        previous: Instruction | None = None
        for instruction in block:
            behind_load = (
                previous is not None
                and previous.kind is Kind.LOAD
                and not previous.writes & instruction.address
            )
            last = instruction is block[-1]
            total += self._cycles(instruction, behind_load, taken and last)
            previous = instruction
        return total

    def _cycles(self, instruction: Instruction, behind_load: bool, taken: bool) -> int:
        kind = instruction.kind
        if kind in (Kind.BRANCH, Kind.BRANCH_REGISTER):
            return self.branch_taken if taken else 1
        if kind is Kind.LOAD:
            cycles = self.load_behind_load if behind_load else self.load
        elif kind is Kind.STORE:
            slow = instruction.register_offset and not behind_load
            cycles = self.store_register_offset if slow else self.store
        elif kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
            cycles = 1 + instruction.transfers
        else:
            cycles = {
                Kind.MULTIPLY_ACCUMULATE: self.multiply_accumulate,
                Kind.MULTIPLY_LONG: self.multiply_long,
                Kind.MULTIPLY_ACCUMULATE_LONG: self.multiply_accumulate_long,
                Kind.DIVIDE: self.divide,
                Kind.CALL: self.call,
                Kind.TABLE_BRANCH: self.table_branch,
                Kind.FLOAT_MULTIPLY_ACCUMULATE: self.float_multiply_accumulate,
                Kind.FLOAT_DIVIDE: self.float_divide,
                Kind.SYSTEM: self.system,
            }.get(kind, 1)
        return cycles + (self.load_pc_extra if instruction.loads_pc and taken else 0)


_M4 = SingleIssueTimings()
_M0PLUS = SingleIssueTimings(
    load_behind_load=2,
    store=2,
    branch_taken=2,
    system=3,
)
_M3 = SingleIssueTimings(multiply_accumulate=2, multiply_long=4, multiply_accumulate_long=6)

_TIMINGS: dict[str, Timings] = {
    "cortex-m0plus": _M0PLUS,
    "cortex-m3": _M3,
    "cortex-m4": _M4,
    "cortex-m7": DualIssueTimings(),
    "cortex-m33": _M4,
}


class CycleModel:
    """Estimates the cycles of a program on a core.

    Args:
        image: The program.
        core: For example "cortex-m4". There is no model of the Cortex-M55.

    Raises:
        ToolMissingError: capstone is not installed.

    Example:
        >>> image = Image.load(firmware.elf)
        >>> entry = image.symbol("sm_invoke").address & ~1
        >>> hundred = BlockCount(entry, size=4, executions=100, fallthroughs=100)
        >>> CycleModel(image, "cortex-m4").estimate([hundred]) >= 100
        True
    """

    def __init__(self, image: Image, core: str) -> None:
        self._image = image
        self._timings = _TIMINGS.get(core.split("+")[0])
        self._disassembler = Disassembler()
        self._riscv = RiscvTimings() if image.is_riscv else None
        self._costs: dict[tuple[int, int], tuple[int, int]] = {}

    def estimate(self, blocks: Iterable[BlockCount]) -> int | None:
        """Estimated cycles of the executions that an emulator counted.

        Args:
            blocks: Its block counts.

        Returns:
            Cycles, or None where no timings are known for the core.
        """
        if self._timings is None and self._riscv is None:
            return None
        total = 0
        for block in blocks:
            straight, jumped = self._cost(block.address, block.size)
            total += straight * block.fallthroughs
            total += jumped * (block.executions - block.fallthroughs)
        return total

    def _cost(self, address: int, size: int) -> tuple[int, int]:
        """Cycles of one pass: (when the next block is the one behind, when it is another)."""
        key = (address, size)
        if key not in self._costs:
            code = self._image.read(address, size)
            if self._riscv is not None:
                self._costs[key] = self._riscv.block_costs(code, address)
            else:
                self._costs[key] = self._arm_costs(code, address)
        return self._costs[key]

    def _arm_costs(self, data: bytes, address: int) -> tuple[int, int]:
        assert self._timings is not None
        code = self._disassembler.decode(data, address)
        jumped = self._timings.block_cycles(code, taken=True)
        # An unconditional branch to the next instruction is still a branch.
        always = code[-1].is_branch and not code[-1].conditional
        straight = jumped if always else self._timings.block_cycles(code, taken=False)
        return straight, jumped
