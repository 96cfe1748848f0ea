"""What one emulated inference yields, and the buffers it goes through."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from smidgen.errors import EmulatorError
from smidgen.targets.elf import Image


@dataclass(frozen=True)
class StepCount:
    """One step of a traced run: what it cost and the tensor it made.

    Attributes:
        step: The number the model passed to ``sm_trace``.
        instructions: Executed since the step before, the two to six that pass the tensor to
            ``sm_trace`` included.
        cycles_estimated: Estimated for those instructions.
        tensor: The bytes of the tensor.
    """

    step: int
    instructions: int
    cycles_estimated: int | None
    tensor: bytes = field(repr=False)


@dataclass(frozen=True)
class EmulatorRun:
    """One emulated inference.

    Attributes:
        outputs: The bytes of each output, in the model's order.
        status: What ``sm_invoke`` returned; 0 is success.
        instructions: Executed from the entry of ``sm_invoke`` to its return, exactly; the
            harness's own are left out.
        cycles_estimated: From ``smidgen.targets.cycles``: the core manual's timings, no wait
            states. An estimate, never a measurement.
        stack_bytes: Deepest stack below the caller's, found by painting it.
        functions: Instructions by function, most first.
        steps: One for each call of ``sm_trace``, in order; empty when not traced. What runs
            after the last one belongs to no step.
        emulator: Which emulator ran it, with its version.
    """

    outputs: tuple[bytes, ...]
    status: int
    instructions: int
    cycles_estimated: int | None
    stack_bytes: int
    functions: dict[str, int] = field(repr=False)
    steps: tuple[StepCount, ...] = ()
    emulator: str = ""


@dataclass(frozen=True)
class Buffer:
    """A place in the chip's memory that holds an input or an output."""

    address: int
    size: int


def read_buffers(image: Image, table: str) -> tuple[Buffer, ...]:
    """The buffers that a table of the harness lists.

    Args:
        image: The linked program.
        table: "sm_inputs" or "sm_outputs".

    Returns:
        The buffers before the {0, 0} that ends the table.

    Raises:
        EmulatorError: The program has no such table, or nothing ends it.
    """
    symbol = image.symbol(table)
    for count in range(symbol.size // 8):
        entry = image.read(symbol.address, 8 * (count + 1))
        if entry[-8:] == bytes(8):
            return tuple(Buffer(*pair) for pair in struct.iter_unpack("<II", entry[:-8]))
    raise EmulatorError(
        f"nothing ends its table {table!r}", where=str(image.path), hint="end it with {0, 0}"
    )


def check_inputs(inputs: Sequence[bytes], buffers: Sequence[Buffer]) -> None:
    """Compare what is to go in with what the program takes.

    Raises:
        EmulatorError: The number of inputs or the size of one differs.
    """
    if len(inputs) != len(buffers):
        raise EmulatorError(f"{len(inputs)} inputs for a program that takes {len(buffers)}")
    for index, (data, buffer) in enumerate(zip(inputs, buffers, strict=True)):
        if len(data) != buffer.size:
            raise EmulatorError(
                f"{len(data)} bytes for an input of {buffer.size}", where=f"input {index}"
            )
