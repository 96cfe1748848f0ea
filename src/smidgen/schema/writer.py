"""Write any flatbuffer that a table of tables describes, as small as the format allows.

Fields that hold their default are not written. Equal strings, vectors and whole tables are
written once and pointed at from every place that has them; a flatbuffer is a graph, so readers
cannot tell. The ``flatbuffers`` package lays bytes out and shares equal vtables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np

from smidgen.errors import ModelFileError
from smidgen.schema.fields import Field, Record, Ref, Refs, Scalar, String, Table, Union, Vector

_PREPEND = {
    "<?": flatbuffers.Builder.PrependBool,
    "<i1": flatbuffers.Builder.PrependInt8,
    "<u1": flatbuffers.Builder.PrependUint8,
    "<i4": flatbuffers.Builder.PrependInt32,
    "<u4": flatbuffers.Builder.PrependUint32,
    "<i8": flatbuffers.Builder.PrependInt64,
    "<u8": flatbuffers.Builder.PrependUint64,
    "<f4": flatbuffers.Builder.PrependFloat32,
}
_OFFSET = "offset"

_Slot = tuple[int, str, Any]
"""A field to be written: slot, type code or _OFFSET, value."""


def write(record: Record, tables: Mapping[str, Table], root: str, identifier: bytes) -> bytes:
    """Encode a flatbuffer.

    Args:
        record: The root table. Absent and None fields are not written; vectors may be any sequence
            of numbers.
        tables: Every kind of table, by name.
        root: The kind of the root table.
        identifier: The four bytes that identify the format.

    Returns:
        The file.

    Raises:
        ModelFileError: The file would pass the format's limit of 2 GB.
        ValueError: A field or union member is not in the schema.
    """
    writer = _Writer(tables)
    try:
        writer.builder.Finish(writer.table(tables[root], record), identifier)
    except flatbuffers.builder.BuilderSizeError:
        raise ModelFileError(
            "the model takes more than 2 GB, which is all a flatbuffer can hold"
        ) from None
    return bytes(writer.builder.Output())


class _Writer:
    """One file in the making; children are written before the tables that point at them."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self.builder = flatbuffers.Builder(1024)
        self.written: dict[tuple[Any, ...], int] = {}

    def table(self, table: Table, record: Record) -> int:
        """Write a table and return its offset."""
        unknown = record.keys() - {field.name for field in table.fields}
        if unknown:
            raise ValueError(f"{table.name} has no field {', '.join(sorted(unknown))}")
        slots: list[_Slot] = []
        for field in table.fields:
            slots += self.field(field, record.get(field.name))
        key = (table.name, *slots)
        if key not in self.written:
            self.written[key] = self.place(table, slots)
        return self.written[key]

    def place(self, table: Table, slots: list[_Slot]) -> int:
        """Lay the fields of a table out, largest last in memory so that they pack tightly."""
        self.builder.StartObject(table.slots)
        for slot, code, value in sorted(slots, key=_size_of):
            if code == _OFFSET:
                self.builder.PrependUOffsetTRelative(value)
            else:
                _PREPEND[code](self.builder, value)
            self.builder.Slot(slot)
        return int(self.builder.EndObject())

    def field(self, field: Field, value: Any) -> list[_Slot]:
        """Write what a field points at, and return what goes into the table itself."""
        kind = field.kind
        if value is None:
            return []
        if isinstance(kind, Scalar):
            plain = int(value) if kind.dtype[1] in "iu" else value
            return [] if plain == kind.default else [(field.id, kind.dtype, plain)]
        if isinstance(kind, Union):
            name, record = value
            if name not in kind.members:
                raise ValueError(f"{kind.name} has no member {name}")
            target = self.table(self.tables[name], record)
            number = kind.members.index(name) + 1
            return [(field.id, "<u1", number), (field.id + 1, _OFFSET, target)]
        if isinstance(kind, Vector):
            target = self.vector(kind, value)
        elif isinstance(kind, String):
            target = self.string(value)
        elif isinstance(kind, Ref):
            target = self.table(self.tables[kind.table], value)
        elif isinstance(kind, Refs):
            target = self.vector_of_tables(self.tables[kind.table], value)
        else:
            raise TypeError(f"field {field.name} is a {kind!r}")
        return [(field.id, _OFFSET, target)]

    def vector(self, kind: Vector, value: Any) -> int:
        """Write a vector of numbers and return its offset."""
        items = np.asarray(value, np.dtype(kind.dtype)).ravel()
        payload = items.tobytes()
        align = max(kind.align, items.itemsize)
        key = (kind.dtype, align, payload)
        if key not in self.written:
            self.builder.StartVector(items.itemsize, items.size, align)
            # What CreateNumpyVector does, but for the alignment, which it cannot be told.
            self.builder.head -= len(payload)
            start = self.builder.head
            self.builder.Bytes[start : start + len(payload)] = payload
            self.written[key] = int(self.builder.EndVector())
        return self.written[key]

    def string(self, value: str) -> int:
        """Write a string and return its offset."""
        key = (str, value)
        if key not in self.written:
            self.written[key] = int(self.builder.CreateString(value))
        return self.written[key]

    def vector_of_tables(self, table: Table, records: list[Record]) -> int:
        """Write tables and the vector of offsets to them, and return the vector's offset."""
        targets = tuple(self.table(table, record) for record in records)
        key = (Refs, targets)
        if key not in self.written:
            self.builder.StartVector(4, len(targets), 4)
            for target in reversed(targets):
                self.builder.PrependUOffsetTRelative(target)
            self.written[key] = int(self.builder.EndVector())
        return self.written[key]


def _size_of(slot: _Slot) -> int:
    """Return how many bytes a field takes in its table."""
    code = slot[1]
    return 4 if code == _OFFSET else np.dtype(code).itemsize
