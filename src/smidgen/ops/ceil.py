"""CEIL: rounding up, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Ceil(FloatFunction):
    """The smallest whole number that is not below x."""

    name: ClassVar[str] = "CEIL"
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ()

    def apply(self, x: Array) -> Array:
        return np.ceil(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].ceil()

    kernels = (unary_kernel("ceil"),)
