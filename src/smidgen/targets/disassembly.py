"""Thumb code → what a cycle model needs to know of each instruction."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smidgen.errors import ToolMissingError
from smidgen.targets.counts import instruction_sizes


class Kind(enum.Enum):
    """Classes of instructions that core manuals give one timing each."""

    ALU = enum.auto()
    MULTIPLY = enum.auto()
    MULTIPLY_ACCUMULATE = enum.auto()
    MULTIPLY_LONG = enum.auto()
    MULTIPLY_ACCUMULATE_LONG = enum.auto()
    DIVIDE = enum.auto()
    LOAD = enum.auto()
    STORE = enum.auto()
    LOAD_MULTIPLE = enum.auto()
    STORE_MULTIPLE = enum.auto()
    BRANCH = enum.auto()
    CALL = enum.auto()
    BRANCH_REGISTER = enum.auto()
    TABLE_BRANCH = enum.auto()
    FLOAT = enum.auto()
    FLOAT_MULTIPLY_ACCUMULATE = enum.auto()
    FLOAT_DIVIDE = enum.auto()
    SYSTEM = enum.auto()


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction.

    Attributes:
        kind: Its class.
        conditional: Whether it may do nothing: a conditional branch, or predicated by IT.
        transfers: Registers that a load or store moves; 1 for the plain ones.
        loads_pc: Whether a load ends in the program counter (``pop {pc}``).
        register_offset: Whether a load or store adds two registers to make its address.
        address: Registers its address is made of.
        reads: Registers it reads, those of the address included.
        writes: Registers it writes.
    """

    kind: Kind
    conditional: bool = False
    transfers: int = 1
    loads_pc: bool = False
    register_offset: bool = False
    address: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    @property
    def is_branch(self) -> bool:
        """Whether it may set the program counter."""
        return self.loads_pc or self.kind in _BRANCHES


_BRANCHES = (Kind.BRANCH, Kind.CALL, Kind.BRANCH_REGISTER, Kind.TABLE_BRANCH)

_NAMES: dict[Kind, str] = {
    Kind.MULTIPLY: "mul smulbb smulbt smultb smultt smulwb smulwt smuad smuadx smusd smusdx smmul "
    "smmulr usad8",
    Kind.MULTIPLY_ACCUMULATE: "mla mls smlabb smlabt smlatb smlatt smlawb smlawt smlad smladx "
    "smlsd smlsdx smmla smmlar smmls smmlsr usada8",
    Kind.MULTIPLY_LONG: "smull umull",
    Kind.MULTIPLY_ACCUMULATE_LONG: "smlal umlal umaal smlalbb smlalbt smlaltb smlaltt smlald "
    "smlaldx smlsld smlsldx",
    Kind.DIVIDE: "sdiv udiv",
    Kind.LOAD: "ldr ldrb ldrh ldrsb ldrsh ldrt ldrbt ldrht ldrsbt ldrsht ldrex ldrexb ldrexh vldr",
    Kind.STORE: "str strb strh strt strbt strht strex strexb strexh vstr",
    Kind.LOAD_MULTIPLE: "ldm ldmdb pop ldrd vldmia vldmdb vpop",
    Kind.STORE_MULTIPLE: "stm stmdb push strd vstmia vstmdb vpush",
    Kind.BRANCH: "b cbz cbnz",
    Kind.CALL: "bl",
    Kind.BRANCH_REGISTER: "bx blx bxns blxns",
    Kind.TABLE_BRANCH: "tbb tbh",
    Kind.FLOAT_MULTIPLY_ACCUMULATE: "vmla vmls vnmla vnmls vfma vfms vfnma vfnms",
    Kind.FLOAT_DIVIDE: "vdiv vsqrt",
    Kind.SYSTEM: "dsb dmb isb mrs msr cps svc bkpt udf",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}


class Disassembler:
    """Decodes Thumb code with capstone.

    Raises:
        ToolMissingError: capstone is not installed.
    """

    def __init__(self) -> None:
        try:
            import capstone
            from capstone import arm
        except ImportError:
            raise ToolMissingError("capstone", extra="emulate", purpose="cycles") from None
        self._arm = arm
        self._engine = capstone.Cs(
            capstone.CS_ARCH_ARM,
            capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8,
        )
        self._engine.detail = True

    def decode(self, code: bytes, address: int = 0) -> tuple[Instruction, ...]:
        """Decode a basic block.

        Args:
            code: Whole instructions.
            address: Of the first.

        Returns:
            One entry for each instruction. One that capstone does not know is plain arithmetic.
        """
        return tuple(self._decode(code, address))

    def _decode(self, code: bytes, address: int) -> Iterator[Instruction]:
        position = 0
        while position < len(code):
            for decoded in self._engine.disasm(code[position:], address + position):
                yield self._classify(decoded)
                position += decoded.size
            if position < len(code):
                yield Instruction(Kind.ALU)
                position += instruction_sizes(code[position : position + 4])[0]

    def _classify(self, decoded: Any) -> Instruction:
        arm = self._arm
        name = decoded.insn_name()
        kind = _KINDS.get(name, Kind.FLOAT if name.startswith("v") else Kind.ALU)
        name_of = decoded.reg_name
        read, written = (frozenset(map(name_of, registers)) for registers in decoded.regs_access())
        registers = [name_of(op.reg) for op in decoded.operands if op.type == arm.ARM_OP_REG]
        memory = next((op.mem for op in decoded.operands if op.type == arm.ARM_OP_MEM), None)
        address: frozenset[str] = frozenset()
        if memory is not None:
            address = frozenset(name_of(r) for r in (memory.base, memory.index) if r)
        loads_pc = kind in (Kind.LOAD, Kind.LOAD_MULTIPLE) and "pc" in registers
        if kind is Kind.ALU and "pc" in written:
            kind = Kind.BRANCH_REGISTER  # mov pc, lr and add pc, pc, r0
        return Instruction(
            kind=kind,
            conditional=decoded.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID)
            or name in ("cbz", "cbnz"),
            transfers=_transfers(kind, name, registers),
            loads_pc=loads_pc,
            register_offset=memory is not None and memory.index != 0,
            address=address,
            # capstone leaves some sources out (ssat): every register but the first is one.
            reads=read | frozenset(registers[1:]),
            writes=written,
        )


def _transfers(kind: Kind, name: str, registers: list[str]) -> int:
    if kind not in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
        return 1
    if name in ("ldrd", "strd"):
        return 2
    has_base = not name.endswith(("push", "pop"))
    words = sum(2 if register.startswith("d") else 1 for register in registers[has_base:])
    return max(1, words)
