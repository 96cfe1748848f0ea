"""ROUND: rounding to nearest, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Round(FloatFunction):
    """The nearest whole number; of two the even one."""

    name: ClassVar[str] = "ROUND"
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ()

    def apply(self, x: Array) -> Array:
        return np.rint(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].round()

    kernels = (unary_kernel("round"),)
