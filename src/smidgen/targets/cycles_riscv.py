"""Cycles of RISC-V code: the timings that the Hazard3 core of the RP2350 documents.

Every instruction takes 1 cycle; a load 2 when the next instruction needs what it loads (other than
to store it); DIV and REM 18; a jump 2; a conditional branch 1 when it goes the way that is
predicted, else 2. The core predicts the last backward branch that was taken; here every backward
branch is predicted taken, which is right for innermost loops. The cycle more for a jump to a
32-bit instruction at an odd halfword is left out.
"""

from __future__ import annotations

import re
from typing import Any

from smidgen.errors import ToolMissingError

_LOADS = frozenset(["lb", "lh", "lw", "lbu", "lhu", "lwsp"])
_STORES = frozenset(["sb", "sh", "sw", "swsp"])
_JUMPS = frozenset(["j", "jal", "jr", "jalr", "ret"])
_BRANCHES = frozenset(
    [
        "beq",
        "bne",
        "blt",
        "bge",
        "bltu",
        "bgeu",
        "beqz",
        "bnez",
        "blez",
        "bgez",
        "bltz",
        "bgtz",
        "bgt",
        "ble",
        "bgtu",
        "bleu",
    ]
)
_DIVIDES = frozenset(["div", "divu", "rem", "remu"])
_DIVIDE_CYCLES = 18
# Written in two operands, of which the first is also read.
_IN_PLACE = frozenset(
    ["add", "addi", "addi16sp", "sub", "and", "andi", "or", "xor", "slli", "srli", "srai"]
)


class RiscvTimings:
    """Decodes RISC-V code with capstone and adds up its cycles.

    Raises:
        ToolMissingError: capstone is not installed.
    """

    def __init__(self) -> None:
        try:
            import capstone
        except ImportError:
            raise ToolMissingError("capstone", extra="emulate", purpose="cycles") from None
        self._engine = capstone.Cs(
            capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC
        )

    def block_costs(self, code: bytes, address: int) -> tuple[int, int]:
        """Cycles of one pass through a basic block.

        Args:
            code: Whole instructions; the last one may branch.
            address: Of the first.

        Returns:
            Cycles when the next block is the one behind, and when it is another.
        """
        decoded = list(self._engine.disasm(code, address))
        total = 0
        loaded = ""
        for instruction in decoded:
            name = _name(instruction)
            total += _DIVIDE_CYCLES if name in _DIVIDES else 1
            total += loaded in _reads(instruction)
            operands = _registers(instruction.op_str)
            loaded = operands[0] if name in _LOADS else ""
        last = _name(decoded[-1])
        if last in _JUMPS:
            return total + 1, total + 1
        if last in _BRANCHES:
            backward = instruction.op_str.rpartition(",")[2].strip().startswith("-")
            return (total + 1, total) if backward else (total, total + 1)
        return total, total


def _name(instruction: Any) -> str:
    return str(instruction.mnemonic).removeprefix("c.")


def _registers(operands: str) -> list[str]:
    return re.findall(r"\b(?:zero|ra|sp|gp|tp|[ast]\d+)\b", operands)


def _reads(instruction: Any) -> list[str]:
    """Registers that must be there when it executes: what a store stores may come later."""
    name = _name(instruction)
    registers = _registers(instruction.op_str)
    compressed = str(instruction.mnemonic).startswith("c.")
    if name in _BRANCHES or name in ("jr", "jalr") or (compressed and name in _IN_PLACE):
        return registers
    return registers[1:]
