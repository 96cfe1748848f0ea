"""Our schema tables against the schema that LiteRT was generated from."""

from __future__ import annotations

import inspect
import itertools
import re
from enum import IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from smidgen.schema import enums, fields, writer
from smidgen.schema.fields import Field, Record, Ref, Refs, Scalar, String, Table, Union, Vector
from smidgen.schema.tables import TABLES

ENUMS = [kind for kind in vars(enums).values() if inspect.isclass(kind) and kind is not Union]
ENUMS = [kind for kind in ENUMS if issubclass(kind, IntEnum) and kind is not IntEnum]
UNIONS = [kind for kind in vars(enums).values() if isinstance(kind, Union)]


@pytest.fixture(scope="module")
def official() -> ModuleType:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def constants(cls: type) -> dict[str, int]:
    return {name: value for name, value in vars(cls).items() if isinstance(value, int)}


@pytest.mark.oracle
@pytest.mark.parametrize("ours", ENUMS, ids=lambda kind: kind.__name__)
def test_every_enum_has_the_official_members(ours: type[IntEnum], official: ModuleType) -> None:
    theirs = constants(getattr(official, ours.__name__))
    assert {member.name: member.value for member in ours} == theirs


@pytest.mark.oracle
@pytest.mark.parametrize("ours", UNIONS, ids=lambda kind: kind.name)
def test_every_union_has_the_official_members(ours: Union, official: ModuleType) -> None:
    theirs = constants(getattr(official, ours.name))
    assert theirs == {"NONE": 0} | {name: i + 1 for i, name in enumerate(ours.members)}


@pytest.mark.oracle
def test_no_table_enum_or_union_is_missing(official: ModuleType) -> None:
    classes = {name for name, kind in vars(official).items() if inspect.isclass(kind)}
    ours = {*TABLES, *(f"{name}T" for name in TABLES)}
    ours |= {kind.__name__ for kind in ENUMS} | {kind.name for kind in UNIONS}
    assert classes == ours


@pytest.mark.oracle
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_field_has_the_official_name_order_and_default(
    table: Table, official: ModuleType
) -> None:
    signature = inspect.signature(getattr(official, f"{table.name}T").__init__)
    theirs = [(p.name, p.default) for p in signature.parameters.values() if p.name != "self"]
    ours: list[tuple[str, object]] = []
    for field in table.fields:
        if isinstance(field.kind, Union):
            ours.append((camel(f"{field.name}_type"), 0))
        ours.append((camel(field.name), getattr(field.kind, "default", None)))
    assert ours == theirs


def example(field: Field) -> object:
    """A value no field has by default."""
    kind = field.kind
    if isinstance(kind, Scalar):
        if kind.enum is not None:
            return max(
                member for member in kind.enum if member != kind.default or len(kind.enum) < 2
            )
        if kind.dtype == "<?":
            return not kind.default
        if kind.dtype == "<f4":
            return -2.5
        return int(np.iinfo(np.dtype(kind.dtype)).max)
    if isinstance(kind, Vector):
        if kind.dtype == "<f4":
            return np.array([1.5, -2.5], np.float32)
        high = 1 if kind.dtype == "<?" else np.iinfo(np.dtype(kind.dtype)).max
        return np.array([high, 0, 1], np.dtype(kind.dtype))
    if isinstance(kind, String):
        return "näme"
    if isinstance(kind, Ref):
        return {}
    if isinstance(kind, Refs):
        return [{}, {}]
    assert isinstance(kind, Union)
    return kind.members[-1], {}


def read_officially(table: Table, record: Record, official: ModuleType) -> Any:
    data = writer.write(record, TABLES, table.name, b"TEST")
    root = getattr(official, table.name).GetRootAs(bytearray(data), 0)
    return getattr(official, f"{table.name}T").InitFromObj(root)


def same(got: Any, want: object, kind: fields.Kind, official: ModuleType) -> bool:
    if isinstance(kind, Vector):
        return bool(got.dtype == np.dtype(kind.dtype) and np.array_equal(got, want))
    if isinstance(kind, String):
        return bool(got.decode() == want)
    if isinstance(kind, Ref):
        return type(got) is getattr(official, f"{kind.table}T")
    if isinstance(kind, Refs):
        return [type(item) for item in got] == [getattr(official, f"{kind.table}T")] * 2
    return bool(got == want)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("table", "field"),
    [(table, field) for table in TABLES.values() for field in table.fields],
    ids=lambda item: getattr(item, "name", None),
)
def test_what_we_write_in_a_field_is_read_there_by_the_official_reader(
    table: Table, field: Field, official: ModuleType
) -> None:
    value = example(field)
    got = read_officially(table, {field.name: value}, official)
    defaults = getattr(official, f"{table.name}T")()
    expected = {camel(field.name)}
    if isinstance(field.kind, Union):
        expected.add(camel(f"{field.name}_type"))
        assert isinstance(value, tuple)
        member = getattr(getattr(official, field.kind.name), value[0])
        assert getattr(got, camel(f"{field.name}_type")) == member
        assert type(getattr(got, camel(field.name))) is getattr(official, f"{value[0]}T")
    else:
        assert same(getattr(got, camel(field.name)), value, field.kind, official)
    changed = {
        name for name, default in vars(defaults).items() if getattr(got, name) is not default
    }
    untouched = {name for name in changed - expected if vars(got)[name] != vars(defaults)[name]}
    assert not untouched


def test_no_table_contains_itself() -> None:
    """Recursion over a file is bounded only because the schema has no cycle."""

    def depth(name: str, above: tuple[str, ...]) -> int:
        assert name not in above
        below: list[str] = []
        for field in TABLES[name].fields:
            if isinstance(field.kind, Ref | Refs):
                below.append(field.kind.table)
            elif isinstance(field.kind, Union):
                below.extend(field.kind.members)
        return 1 + max((depth(child, (*above, name)) for child in below), default=0)

    assert depth("Model", ()) <= 6


def test_every_name_that_a_field_refers_to_is_a_table() -> None:
    kinds = itertools.chain.from_iterable(table.fields for table in TABLES.values())
    for kind in (field.kind for field in kinds):
        if isinstance(kind, Ref | Refs):
            assert kind.table in TABLES
        if isinstance(kind, Union):
            assert set(kind.members) <= TABLES.keys()


def test_fields_are_numbered_past_deprecated_ones_and_by_two_for_a_union() -> None:
    table = Table(
        "T",
        a=fields.INT32,
        b=fields.DEPRECATED,
        c=Union("U", ("X",)),
        d=fields.STRING,
    )
    assert [(field.name, field.id) for field in table.fields] == [("a", 0), ("c", 2), ("d", 4)]
    assert table.slots == 5
    assert re.fullmatch(r"Table\('T', 3 fields\)", repr(table))
