"""From block executions to instruction counts.

Every emulator reports the same thing: how often each basic block ran, and how often the block
that lies right behind it ran next. That is enough for exact instruction counts, for counts by
function, and for a cycle estimate that knows which branches were taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from smidgen.targets.elf import Image


@dataclass(frozen=True)
class BlockCount:
    """How often one basic block ran.

    Attributes:
        address: Of its first instruction.
        size: In bytes.
        executions: How often it was entered (and therefore left: nothing here takes exceptions).
        fallthroughs: How often the next block executed was the one right behind it.
    """

    address: int
    size: int
    executions: int
    fallthroughs: int


def instruction_sizes(code: bytes, riscv: bool = False) -> list[int]:
    """Split Thumb or RISC-V code into instructions.

    The length is in the first halfword. In Thumb, 0b11101, 0b11110 and 0b11111 in its top five
    bits begin a 32-bit instruction; that holds for every M-profile core, Helium included. In
    RISC-V, 0b11 in its lowest two bits does.

    Args:
        code: Whole instructions.
        riscv: Whether they are RISC-V's.

    Returns:
        The size of each, 2 or 4 bytes.

    Example:
        >>> instruction_sizes(bytes.fromhex("7047 dff80000".replace(" ", "")))
        [2, 4]
    """
    sizes = []
    position = 0
    while position < len(code):
        long = code[position] & 3 == 3 if riscv else code[position + 1] >> 3 >= 0b11101
        sizes.append(4 if long else 2)
        position += sizes[-1]
    return sizes


def count_instructions(blocks: Iterable[BlockCount], image: Image) -> int:
    """Instructions executed.

    An instruction predicated by IT counts whether its condition held or not: it is issued.
    """
    return sum(count_by_function(blocks, image).values())


def count_by_function(blocks: Iterable[BlockCount], image: Image) -> dict[str, int]:
    """Instructions executed in each function, most first; not counting what it calls.

    Args:
        blocks: What an emulator reported.
        image: The program that ran.

    Returns:
        Function name to instructions. Code that belongs to no function is under "".
    """
    counts: defaultdict[str, int] = defaultdict(int)
    for block in blocks:
        length = len(instruction_sizes(image.read(block.address, block.size), image.is_riscv))
        counts[image.function_at(block.address)] += length * block.executions
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
