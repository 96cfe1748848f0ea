"""SIN: the sine, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.numerics.tabulate import nearest
from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sin(FloatFunction):
    """The sine of x in radians."""

    name: ClassVar[str] = "SIN"

    def apply(self, x: Array) -> Array:
        return nearest(np.sin)(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].sin()

    kernels = (unary_kernel("sin"),)
