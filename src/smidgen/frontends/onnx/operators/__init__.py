"""The rules: what each operator of ONNX means. One family a file, found by scanning."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from smidgen.frontends.onnx.site import OPERATORS, Rule


@cache
def rules() -> dict[tuple[str, str], Rule]:
    """The rules by domain and name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return OPERATORS
