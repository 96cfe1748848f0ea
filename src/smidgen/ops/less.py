"""LESS: whether a < b, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _comparison

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Less(_comparison.Comparison):
    """Whether a < b, with numpy's broadcasting."""

    name: ClassVar[str] = "LESS"
    options: ClassVar[str] = "LessOptions"

    def compare(self, a: Array, b: Array) -> Array:
        return a < b

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.lt(b)

    kernels = _comparison.kernels("less")
