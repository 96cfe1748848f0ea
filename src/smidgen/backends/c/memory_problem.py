"""The memory planning problem: buffers, their lifespans, and which of them may overlap.

Time is a row of steps, one for each operator in the order it runs. A buffer lives for a half-open
interval of steps: ``start`` is the step that writes it, ``end`` is one past the last step that
reads it. Two buffers that live in the same step must not share a byte, with one exception: an
*overlap* lets an operator write its output over an input that it is the last to read.

An overlap states a ``lead`` in bytes, a promise that the kernel makes: before it writes byte ``j``
of the output it has read bytes ``0`` to ``j - lead`` of the input for the last time. Output byte
``j`` then lands on an input byte that is still needed unless

    output_offset + lead <= input_offset

so that is what a plan must satisfy wherever the two share bytes. An elementwise kernel has lead 0
and may run exactly in place; a kernel that looks further behind leads by more. A kernel that could
start above its input has lead 0 as well: a lead is never negative.

Problems and plans are read and written as CSV, one buffer a line, in the columns of minimalloc
(``id,lower,upper,size``) and three of ours.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from smidgen.errors import PlanError

_COLUMNS = ("id", "lower", "upper", "size", "alignment", "overlaps", "disjoint")


@dataclass(frozen=True)
class Buffer:
    """One thing to place in the tensor arena.

    Args:
        name: Unique in its problem.
        size: Bytes, at least 1.
        start: The step that writes it. A graph input starts at the first step or before it.
        end: One past the last step that reads it. A scratch buffer has ``end == start + 1``.
        alignment: Its offset is a multiple of this, a power of two.
    """

    name: str
    size: int
    start: int
    end: int
    alignment: int = 4


@dataclass(frozen=True)
class Overlap:
    """Permission to write ``output`` over ``input``, which is read for the last time meanwhile.

    Args:
        input: A buffer that ends with the step that writes ``output``.
        output: The buffer written.
        lead: How many bytes the output must start below the input's start, where they share any;
            0 allows exactly in place.
    """

    input: str
    output: str
    lead: int = 0


@dataclass(frozen=True)
class MemoryProblem:
    """Buffers to place in one arena.

    Args:
        buffers: In any order; names are unique.
        overlaps: Pairs that may share bytes in the one step where both live.
        disjoint: Pairs of names that must not share bytes even though they never live together.

    Raises:
        PlanError: A size, lifespan, alignment or pair makes no sense.

    Example:
        A convolution, then an activation in place:

        >>> problem = MemoryProblem(
        ...     (Buffer("x", 100, 0, 1), Buffer("y", 80, 0, 2), Buffer("z", 80, 1, 3)),
        ...     overlaps=(Overlap("y", "z"),),
        ... )
        >>> from smidgen.backends.c.plan_memory import plan_memory
        >>> plan_memory(problem).arena_bytes
        180
    """

    buffers: tuple[Buffer, ...]
    overlaps: tuple[Overlap, ...] = ()
    disjoint: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        by_name = {}
        for buffer in self.buffers:
            _check_buffer(buffer)
            if buffer.name in by_name:
                raise PlanError("two buffers have this name", where=f"buffer {buffer.name}")
            by_name[buffer.name] = buffer
        seen: set[tuple[str, str]] = set()
        for overlap in self.overlaps:
            _check_overlap(overlap, by_name)
            if seen & {(overlap.input, overlap.output), (overlap.output, overlap.input)}:
                raise PlanError(
                    "the overlap is given twice, or both ways",
                    where=f"overlap {overlap.input} -> {overlap.output}",
                )
            seen.add((overlap.input, overlap.output))
        written = {o.output for o in self.overlaps}
        for overlap in self.overlaps:
            source, target = by_name[overlap.input], by_name[overlap.output]
            if source.start == target.start and source.name in written:
                raise PlanError(
                    "the input is itself written in this step, over another",
                    where=f"overlap {source.name} -> {target.name}",
                )
        for first, second in self.disjoint:
            for name in (first, second):
                if name not in by_name:
                    raise PlanError("no buffer has this name", where=f"disjoint pair with {name}")
            if first == second or (first, second) in seen or (second, first) in seen:
                raise PlanError(
                    "the pair must be disjoint, and also the same or allowed to overlap",
                    where=f"{first}, {second}",
                )

    def to_csv(self, offsets: dict[str, int] | None = None) -> str:
        """Return the problem as CSV text, with an ``offset`` column when a plan is given.

        Args:
            offsets: A plan's offsets in bytes, by buffer name.

        Returns:
            One header line, then one line a buffer. ``overlaps`` lists the inputs that the buffer
            may be written over as ``input:lead``, separated by spaces.

        Raises:
            PlanError: A buffer's name has a space in it.
        """
        for b in self.buffers:
            if len(b.name.split()) != 1:
                raise PlanError("its name cannot stand in a list", where=f"buffer {b.name!r}")
        over: dict[str, list[str]] = {b.name: [] for b in self.buffers}
        apart: dict[str, list[str]] = {b.name: [] for b in self.buffers}
        for overlap in self.overlaps:
            over[overlap.output].append(f"{overlap.input}:{overlap.lead}")
        for first, second in self.disjoint:
            apart[first].append(second)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS if offsets is None else (*_COLUMNS, "offset"))
        for b in self.buffers:
            row = [b.name, b.start, b.end, b.size, b.alignment]
            row += [" ".join(over[b.name]), " ".join(apart[b.name])]
            table.writerow(row if offsets is None else [*row, offsets[b.name]])
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str) -> MemoryProblem:
        """Read a problem from CSV text, ours or minimalloc's.

        Args:
            text: A header line with at least ``id,lower,upper,size``, then one line a buffer.

        Returns:
            The problem; an absent alignment is 4, absent overlaps are none.

        Raises:
            PlanError: A column is missing or a cell is not a number.
        """
        table = csv.DictReader(io.StringIO(text))
        missing = set(_COLUMNS[:4]) - set(table.fieldnames or ())
        if missing:
            raise PlanError(f"the table has no column {', '.join(sorted(missing))}")
        buffers: list[Buffer] = []
        overlaps: list[Overlap] = []
        disjoint: list[tuple[str, str]] = []
        for line, row in enumerate(table, start=2):
            name = row["id"]
            try:
                size, start, end = (int(row[key]) for key in ("size", "lower", "upper"))
                buffers.append(Buffer(name, size, start, end, int(row.get("alignment") or 4)))
                for item in (row.get("overlaps") or "").split():
                    source, _, lead = item.rpartition(":")
                    overlaps.append(Overlap(source, name, int(lead)))
            except (TypeError, ValueError) as error:
                raise PlanError(f"not a number: {error}", where=f"line {line}") from None
            disjoint += [(name, other) for other in (row.get("disjoint") or "").split()]
        return cls(tuple(buffers), tuple(overlaps), tuple(disjoint))


@dataclass(frozen=True)
class MemoryPlan:
    """Where each buffer lies, and how good that is known to be.

    Args:
        offsets: Bytes from the arena's start, by buffer name.
        arena_bytes: The peak: the end of the highest buffer, rounded up to the smallest alignment.
        lower_bound: No plan can have a smaller arena than this.
        optimal: Whether ``arena_bytes`` is proven the least possible.
    """

    offsets: dict[str, int]
    arena_bytes: int
    lower_bound: int
    optimal: bool

    @property
    def gap(self) -> float:
        """How far above the lower bound the arena is, as a fraction of it; 0.0 when optimal."""
        return (self.arena_bytes - self.lower_bound) / self.lower_bound if self.lower_bound else 0.0


def _check_buffer(buffer: Buffer) -> None:
    where = f"buffer {buffer.name}"
    if buffer.size < 1:
        raise PlanError(f"size {buffer.size} is not positive", where=where)
    if buffer.end <= buffer.start:
        raise PlanError(f"lifespan [{buffer.start}, {buffer.end}) is empty", where=where)
    if buffer.alignment < 1 or buffer.alignment & (buffer.alignment - 1):
        raise PlanError(f"alignment {buffer.alignment} is not a power of two", where=where)


def _check_overlap(overlap: Overlap, by_name: dict[str, Buffer]) -> None:
    where = f"overlap {overlap.input} -> {overlap.output}"
    for name in (overlap.input, overlap.output):
        if name not in by_name:
            raise PlanError(f"no buffer is called {name}", where=where)
    source, target = by_name[overlap.input], by_name[overlap.output]
    if source is target:
        raise PlanError("a buffer cannot overlap itself", where=where)
    if overlap.lead < 0:
        raise PlanError(
            f"lead {overlap.lead} is negative", where=where, hint="use 0, exactly in place"
        )
    if source.end != target.start + 1 or source.start > target.start:
        raise PlanError(
            f"the input lives [{source.start}, {source.end}) and the output is written at step "
            f"{target.start}",
            where=where,
            hint="only the last step of the input may write over it",
        )
