"""The rules: what each Keras layer means in operators. One family a file, found by scanning."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from smidgen.frontends.keras.site import LAYERS, OPERATIONS, Rule


@cache
def rules() -> tuple[dict[str, Rule], dict[str, Rule]]:
    """The rules for layers and for `keras.ops` functions, by class name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return LAYERS, OPERATIONS
