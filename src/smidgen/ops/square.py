"""SQUARE: x * x, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Square(FloatFunction):
    """x * x."""

    name: ClassVar[str] = "SQUARE"
    options: ClassVar[str] = "SquareOptions"

    def apply(self, x: Array) -> Array:
        return x * x

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].square()

    kernels = (unary_kernel("square"),)
