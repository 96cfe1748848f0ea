"""Read any flatbuffer that a table of tables describes, trusting nothing in it.

Each offset, vtable and vector length is checked against the file before it is followed. Offsets
may overlap, so that a small file can describe an enormous tree; a budget proportional to the
file's size bounds the work. Recursion is bounded because the schema has no cycle.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from smidgen.errors import ModelFileError
from smidgen.schema.fields import (
    Deprecated,
    Field,
    Record,
    Ref,
    Refs,
    Scalar,
    String,
    Table,
    Union,
    Vector,
)

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")

# numpy's type codes in the alphabet of struct
_STRUCTS = {
    "<?": struct.Struct("<?"),
    "<i1": struct.Struct("<b"),
    "<u1": struct.Struct("<B"),
    "<i4": _I32,
    "<u4": _U32,
    "<i8": struct.Struct("<q"),
    "<u8": struct.Struct("<Q"),
    "<f4": struct.Struct("<f"),
}

_OFFSET_SIZE = 4
_TEXT_UNIT = 64
"""Bytes of text that count as much as following an offset."""
_MOST_OFFSETS = 300_000
"""Several times what the largest models need; 300 MB and a few seconds at the worst."""


class _FaultError(Exception):
    """Something is wrong at ``offset``; callers add where they were on the way up."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.path: list[str] = []


def read(data: bytes, tables: Mapping[str, Table], root: str, identifier: bytes) -> Record:
    """Decode a flatbuffer.

    Args:
        data: The whole file. Vectors of numbers in the result are views of it.
        tables: Every kind of table, by name.
        root: The kind of the root table.
        identifier: The four bytes a file of this format has at offset 4.

    Returns:
        The root table.

    Raises:
        ModelFileError: An offset, length, union member or the identifier is not valid; says at
            which byte of the file and at which field, such as ``subgraphs[0].tensors[3].shape``.
    """
    if len(data) < 8 or data[4:8] != identifier:
        found = data[4:8].decode("latin-1") if len(data) >= 8 else f"{len(data)} bytes in all"
        raise ModelFileError(
            f"not a {identifier.decode()} file: expected {identifier.decode()!r} at byte 4, "
            f"found {found!r}"
        )
    reader = _Reader(data, tables)
    try:
        return reader.table(tables[root], reader.follow(0))
    except _FaultError as fault:
        path = "".join(reversed(fault.path)).removeprefix(".")
        raise ModelFileError(
            f"byte {fault.offset}: {fault.message}",
            where=path or None,
            hint="the file is damaged or truncated; get it again",
        ) from None


class _Reader:
    """One pass over one file."""

    def __init__(self, data: bytes, tables: Mapping[str, Table]) -> None:
        self.data = data
        self.size = len(data)
        self.tables = tables
        # An honest file follows each of its offsets once, or twice where a writer shared tables.
        self.budget = min(4096 + 2 * self.size // _OFFSET_SIZE, _MOST_OFFSETS)

    def spend(self, cost: int, at: int) -> None:
        """Count work and memory, in offsets followed."""
        self.budget -= cost
        if self.budget < 0:
            raise _FaultError(at, "so many parts overlap that the file would unpack without end")

    def number(self, code: struct.Struct, at: int) -> int:
        """Return the integer at ``at``."""
        if at < 0 or at + code.size > self.size:
            raise _FaultError(at, f"outside the file of {self.size} bytes")
        return int(code.unpack_from(self.data, at)[0])

    def follow(self, at: int) -> int:
        """Return the position that the offset stored at ``at`` points to."""
        self.spend(1, at)
        offset = self.number(_U32, at)
        if offset == 0 or at + offset + 4 > self.size:
            raise _FaultError(at, f"offset {offset} points outside the file of {self.size} bytes")
        return at + offset

    def length(self, at: int, item: int) -> int:
        """Return the length of the vector at ``at``, whose items take ``item`` bytes each."""
        count = self.number(_U32, at)
        if count * item > self.size - at - 4:
            raise _FaultError(
                at, f"{count} items of {item} bytes do not fit in the file of {self.size} bytes"
            )
        return count

    def table(self, table: Table, at: int) -> Record:
        """Return the table at ``at``."""
        vtable = at - self.number(_I32, at)
        vtable_size = self.number(_U16, vtable)
        inline_size = self.number(_U16, vtable + 2)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > self.size:
            raise _FaultError(vtable, f"a vtable of {vtable_size} bytes")
        if inline_size < 4 or at + inline_size > self.size:
            raise _FaultError(vtable, f"a table of {inline_size} bytes")
        count = min(vtable_size // 2 - 2, table.slots)
        slots = struct.unpack_from(f"<{count}H", self.data, vtable + 4)
        record: Record = {}
        name = ""
        try:
            for field in table.fields:
                name = field.name
                record[name] = self.field(field, at, slots, inline_size)
        except _FaultError as fault:
            fault.path.append(f".{name}")
            raise
        return record

    def field(self, field: Field, at: int, slots: tuple[int, ...], inline_size: int) -> object:
        """Return one field of the table at ``at``; ``slots`` is its vtable."""
        kind = field.kind
        if isinstance(kind, Scalar):
            position = self.slot(field.id, at, slots, inline_size, int(kind.dtype[2:] or 1))
            return self.scalar(kind, position) if position else kind.default
        if isinstance(kind, Union):
            return self.union(kind, field.id, at, slots, inline_size)
        position = self.slot(field.id, at, slots, inline_size, 4)
        if not position:
            return None
        target = self.follow(position)
        if isinstance(kind, Vector):
            return self.vector(kind, target)
        if isinstance(kind, String):
            return self.string(target)
        if isinstance(kind, Ref):
            return self.table(self.tables[kind.table], target)
        if isinstance(kind, Refs):
            return self.vector_of_tables(self.tables[kind.table], target)
        assert not isinstance(kind, Deprecated), "Table leaves deprecated fields out"
        raise TypeError(f"field {field.name} is a {kind!r}")

    @staticmethod
    def slot(index: int, at: int, slots: tuple[int, ...], inline_size: int, size: int) -> int:
        """Return where field ``index`` lies, or 0 if it is not in the file."""
        offset = slots[index] if index < len(slots) else 0
        if offset == 0:
            return 0
        if offset < 4 or offset + size > inline_size:
            raise _FaultError(at, f"a field at {offset} of a table of {inline_size} bytes")
        return at + offset

    def scalar(self, kind: Scalar, at: int) -> int | float | bool:
        """Return the number at ``at``, as a member of its enum if it is one."""
        value: int | float | bool = _STRUCTS[kind.dtype].unpack_from(self.data, at)[0]
        if kind.enum is None:
            return value
        try:
            return kind.enum(int(value))
        except ValueError:  # from a schema newer than ours; whoever needs it will refuse it
            return value

    def vector(self, kind: Vector, at: int) -> npt.NDArray[np.generic]:
        """Return the vector of numbers at ``at``, as a view of the file."""
        dtype = np.dtype(kind.dtype)
        count = self.length(at, dtype.itemsize)
        return np.frombuffer(self.data, dtype, count, at + 4)

    def string(self, at: int) -> str:
        """Return the string at ``at``; bytes that are not UTF-8 come out as escapes."""
        count = self.length(at, 1)
        self.spend(count // _TEXT_UNIT, at)
        return self.data[at + 4 : at + 4 + count].decode("utf-8", "backslashreplace")

    def vector_of_tables(self, table: Table, at: int) -> list[Record]:
        """Return the tables that the vector of offsets at ``at`` points to."""
        return [self.item(table, at, index) for index in range(self.length(at, 4))]

    def item(self, table: Table, at: int, index: int) -> Record:
        """Return one of the tables that the vector of offsets at ``at`` points to."""
        try:
            return self.table(table, self.follow(at + 4 + 4 * index))
        except _FaultError as fault:
            fault.path.append(f"[{index}]")
            raise

    def union(
        self, kind: Union, index: int, at: int, slots: tuple[int, ...], inline_size: int
    ) -> tuple[str, Record] | None:
        """Return (member, table) of a union, or None if it holds nothing."""
        position = self.slot(index, at, slots, inline_size, 1)
        member = self.data[position] if position else 0
        if member == 0:
            return None
        if member > len(kind.members):
            raise _FaultError(
                position, f"{kind.name} has no member {member} (ours has {len(kind.members)})"
            )
        table = self.tables[kind.members[member - 1]]
        position = self.slot(index + 1, at, slots, inline_size, 4)
        if not position:  # a writer that leaves an all-default table out
            return table.name, self.defaults(table)
        return table.name, self.table(table, self.follow(position))

    @staticmethod
    def defaults(table: Table) -> Record:
        """Return a table none of whose fields is set."""
        return {f.name: getattr(f.kind, "default", None) for f in table.fields}
