"""The words the schema tables are written in: scalars, vectors, strings, tables and unions.

A flatbuffer table is a list of numbered fields. :class:`Table` takes its fields as keyword
arguments *in the order of their ids*, so the declaration reads like the schema itself::

    Table("Conv2DOptions", padding=enum(Padding), stride_w=INT32, stride_h=INT32, ...)

Nothing here knows about TFLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Record = dict[str, Any]
"""One decoded table: field name to value, every field of its schema present.

Scalars are ``int``, ``float``, ``bool`` or a member of the field's enum (a plain ``int`` where the
enum has no such member). Vectors of numbers are read-only numpy arrays, vectors of tables are
lists, strings are ``str``, and an absent vector, string or table is None. A union is None or a
pair ``(table name, record)``.
"""


@dataclass(frozen=True)
class Scalar:
    """A number stored inline.

    Args:
        dtype: Numpy's little-endian type code, such as ``"<i4"``.
        default: The value of a field that is not in the file.
        enum: The enumeration the number is a member of.
    """

    dtype: str
    default: int | float | bool = 0
    enum: type[IntEnum] | None = None

    def __call__(self, default: int | float | bool) -> Scalar:
        """Return the same scalar with another default, as in ``INT32(1)``."""
        return Scalar(self.dtype, default, self.enum)


@dataclass(frozen=True)
class Vector:
    """A vector of numbers; ``align`` is in bytes and at least the item's own size."""

    dtype: str
    align: int = 1


@dataclass(frozen=True)
class String:
    """A UTF-8 string."""


@dataclass(frozen=True)
class Ref:
    """Another table, by name."""

    table: str


@dataclass(frozen=True)
class Refs:
    """A vector of tables of one kind, by name."""

    table: str


@dataclass(frozen=True)
class Union:
    """One table of several kinds. It takes two ids: the member's number, then the table.

    Args:
        name: The union's name.
        members: Table names; the first is number 1, because 0 means nothing.
    """

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Deprecated:
    """A field that is neither read nor written, but still holds its id."""


Kind = Scalar | Vector | String | Ref | Refs | Union | Deprecated


@dataclass(frozen=True)
class Field:
    """A named field and the id of its (first) slot in the vtable."""

    id: int
    name: str
    kind: Kind


class Table:
    """A kind of table.

    Args:
        table: Its name.
        **fields: Its fields in the order of their ids.

    Attributes:
        name: Its name.
        fields: Its fields with their ids, deprecated ones left out.
        slots: How many ids there are.

    Example:
        >>> [(f.id, f.name) for f in Table("Pair", left=INT32, right=INT32).fields]
        [(0, 'left'), (1, 'right')]
    """

    def __init__(self, table: str, /, **fields: Kind) -> None:
        self.name = table
        found: list[Field] = []
        slot = 0
        for name, kind in fields.items():
            if not isinstance(kind, Deprecated):
                found.append(Field(slot, name, kind))
            slot += 2 if isinstance(kind, Union) else 1
        self.fields = tuple(found)
        self.slots = slot

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.fields)} fields)"


def enum(members: type[IntEnum], default: int = 0, dtype: str = "<i1") -> Scalar:
    """Return a scalar that is a member of ``members``."""
    return Scalar(dtype, members(default), members)


BOOL = Scalar("<?", False)
INT8 = Scalar("<i1")
INT32 = Scalar("<i4")
INT64 = Scalar("<i8")
UINT8 = Scalar("<u1")
UINT32 = Scalar("<u4")
UINT64 = Scalar("<u8")
FLOAT32 = Scalar("<f4", 0.0)

BOOLS = Vector("<?")
BYTES = Vector("<u1")
INT32S = Vector("<i4", 4)
INT64S = Vector("<i8", 8)
UINT32S = Vector("<u4", 4)
FLOATS = Vector("<f4", 4)

STRING = String()
DEPRECATED = Deprecated()
