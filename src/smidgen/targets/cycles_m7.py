"""What is assumed of the Cortex-M7, whose timings Arm does not publish.

An in-order core that issues up to two instructions a cycle, in program order:

- at most one memory access, one multiply, one divide, one floating-point operation and one branch
  a cycle; two plain arithmetic instructions may go together;
- an instruction waits for its operands: arithmetic is ready after 1 cycle, loads and multiplies
  after 2, floating point after 3, divides after 12 (floating point 14);
- the bus is 64 bits wide: LDM, STM, PUSH, POP and LDRD move two registers a cycle;
- branches are predicted: a taken one only ends its cycle. The first cycle of a block starts afresh;
- code and data come from tightly coupled memory or hit the caches.

These are the resource and latency classes compilers use when they schedule for the core. Expect
the truth to lie within a few tens of per cent, and above rather than below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.targets.disassembly import Instruction, Kind

_MEMORY = (Kind.LOAD, Kind.STORE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE)
_MULTIPLIES = (
    Kind.MULTIPLY,
    Kind.MULTIPLY_ACCUMULATE,
    Kind.MULTIPLY_LONG,
    Kind.MULTIPLY_ACCUMULATE_LONG,
)
_FLOATS = (Kind.FLOAT, Kind.FLOAT_MULTIPLY_ACCUMULATE, Kind.FLOAT_DIVIDE)


@dataclass(frozen=True)
class DualIssueTimings:
    """An in-order scoreboard of two issue slots."""

    width: int = 2
    load_latency: int = 2
    multiply_latency: int = 2
    float_latency: int = 3
    divide_latency: int = 12
    float_divide_latency: int = 14

    def block_cycles(self, block: Sequence[Instruction], taken: bool) -> int:
        """Cycles of one pass through ``block``; a predicted branch costs the same either way."""
        ready: dict[str, int] = {}
        cycle = issued = 0
        busy: set[str] = set()
        for instruction in block:
            unit = _unit(instruction)
            start = max([cycle, *(ready.get(register, 0) for register in instruction.reads)])
            if start == cycle and (issued == self.width or unit in busy):
                start += 1
            if start > cycle:
                cycle, issued, busy = start, 0, set()
            issued += 1
            if unit:
                busy.add(unit)
            if instruction.transfers > 2:  # the bus is taken until the last pair has moved
                cycle += (instruction.transfers + 1) // 2 - 1
            for register in instruction.writes:
                ready[register] = cycle + self._latency(instruction)
        return cycle + 1

    def _latency(self, instruction: Instruction) -> int:
        kind = instruction.kind
        if kind in _MULTIPLIES:
            return self.multiply_latency
        if kind is Kind.DIVIDE:
            return self.divide_latency
        if kind is Kind.FLOAT_DIVIDE:
            return self.float_divide_latency
        if kind in _FLOATS:
            return self.float_latency
        return self.load_latency if kind in (Kind.LOAD, Kind.LOAD_MULTIPLE) else 1


def _unit(instruction: Instruction) -> str:
    """The unit of which there is only one, or "" for plain arithmetic."""
    kind = instruction.kind
    if kind in _MEMORY:
        return "memory"
    if kind in _MULTIPLIES:
        return "multiply"
    if kind is Kind.DIVIDE:
        return "divide"
    if kind in _FLOATS:
        return "float"
    return "branch" if instruction.is_branch else ""
