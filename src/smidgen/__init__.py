"""Smidgen: squeeze a trained neural network until it fits a small device, and prove it works."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name lives. Nothing is imported until it is asked for (PEP 562), so that
# `import smidgen` and `smidgen --help` stay quick.
_HOME: dict[str, str] = {
    "Dataset": "smidgen.data",
    "Firmware": "smidgen.backends.c.firmware",
    "Graph": "smidgen.ir",
    "Recipe": "smidgen.transforms.quantize",
    "Rule": "smidgen.transforms.quantize",
    "Session": "smidgen.interpreter",
    "SmidgenError": "smidgen.errors",
    "compile": "smidgen.backends.c.compile",
    "describe": "smidgen.facts",
    "evaluate": "smidgen.evaluate",
    "finetune": "smidgen.training.finetune",
    "load": "smidgen.frontends",
    "prune": "smidgen.training.prune",
    "quantize": "smidgen.transforms.quantize",
    "random_inputs": "smidgen.interpreter",
    "reconstruct": "smidgen.training.reconstruct",
    "run": "smidgen.evaluate",
    "sensitivity": "smidgen.training.sensitivity",
    "signatures": "smidgen.frontends",
    "shrink": "smidgen.transforms.rewrites",
    "squeeze": "smidgen.squeeze",
    "student": "smidgen.training.student",
    "train_quantized": "smidgen.training.qat",
    "verify": "smidgen.verify",
    "write_tflite": "smidgen.backends.tflite",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from smidgen.backends.c.compile import compile as compile
    from smidgen.backends.c.firmware import Firmware as Firmware
    from smidgen.backends.tflite import write_tflite as write_tflite
    from smidgen.data import Dataset as Dataset
    from smidgen.errors import SmidgenError as SmidgenError
    from smidgen.evaluate import evaluate as evaluate
    from smidgen.evaluate import run as run
    from smidgen.facts import describe as describe
    from smidgen.frontends import load as load
    from smidgen.frontends import signatures as signatures
    from smidgen.interpreter import Session as Session
    from smidgen.interpreter import random_inputs as random_inputs
    from smidgen.ir import Graph as Graph
    from smidgen.squeeze import squeeze as squeeze
    from smidgen.training.finetune import finetune as finetune
    from smidgen.training.prune import prune as prune
    from smidgen.training.qat import train_quantized as train_quantized
    from smidgen.training.reconstruct import reconstruct as reconstruct
    from smidgen.training.sensitivity import sensitivity as sensitivity
    from smidgen.training.student import student as student
    from smidgen.transforms.quantize import Recipe as Recipe
    from smidgen.transforms.quantize import Rule as Rule
    from smidgen.transforms.quantize import quantize as quantize
    from smidgen.transforms.rewrites import shrink as shrink
    from smidgen.verify import verify as verify


class _Package(ModuleType):
    """Keeps `smidgen.squeeze` the function, whichever way its module is imported first."""

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system binds a submodule to its package under the submodule's name.
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
