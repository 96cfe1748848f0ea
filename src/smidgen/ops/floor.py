"""FLOOR: rounding down, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Floor(FloatFunction):
    """The largest whole number that is not above x."""

    name: ClassVar[str] = "FLOOR"

    def apply(self, x: Array) -> Array:
        return np.floor(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].floor()

    kernels = (unary_kernel("floor"),)
