"""Smidgen: squeeze a trained neural network until it fits a small device, and prove it works."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. Nothing is imported until it is asked for (PEP 562), so that
# ``import smidgen`` and ``smidgen --help`` stay quick.
_HOME: dict[str, str] = {
    "SmidgenError": "smidgen.errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
