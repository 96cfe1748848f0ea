"""Operators: one per file, found by scanning this package. See `_op.py` for the contract."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from smidgen.errors import UnsupportedModelError
from smidgen.ops._kernel import Kernel, Site
from smidgen.ops._op import (
    CONCERNS,
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Unsupported,
    unsupported,
)
from smidgen.ops._sample import Operand, Sample

__all__ = [
    "AxisRef",
    "Coupling",
    "Kernel",
    "NodeTypes",
    "Op",
    "Operand",
    "QuantRule",
    "Role",
    "Sample",
    "Site",
    "TfliteNode",
    "TfliteOp",
    "Unsupported",
    "all_ops",
    "get_op",
    "unsupported",
]


@cache
def all_ops() -> dict[str, type[Op]]:
    """Every operator class by its LiteRT name.

    Raises:
        TypeError: if an operator is silent about one of its concerns.

    Example:
        >>> "CONV_2D" in all_ops()
        True
    """
    found: dict[str, type[Op]] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        names = vars(importlib.import_module(f"{__name__}.{module.name}"))
        for item in names.values():
            if isinstance(item, type) and issubclass(item, Op) and "name" in vars(item):
                if item.__module__.startswith(f"{__name__}.{module.name}"):
                    _check_complete(item)
                    found[item.name] = item
    return dict(sorted(found.items()))


def _check_complete(cls: type[Op]) -> None:
    for concern in CONCERNS:
        owner = next((c for c in cls.__mro__ if concern in vars(c)), Op)
        if owner is Op:
            raise TypeError(
                f"{cls.__module__}: {cls.__name__} says nothing about {concern}; "
                f"implement it or set {concern} = unsupported('why')"
            )


def get_op(name: str) -> type[Op]:
    """The operator class called `name`.

    Raises:
        UnsupportedModelError: listing the operators there are.

    Example:
        >>> get_op("ADD").name
        'ADD'
    """
    try:
        return all_ops()[name]
    except KeyError:
        raise UnsupportedModelError(
            f"operator {name} is not supported", hint=f"supported are {', '.join(all_ops())}"
        ) from None
