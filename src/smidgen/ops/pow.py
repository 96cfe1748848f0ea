"""POW: a to the power of b, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _arithmetic
from smidgen.ops._broadcast import pair_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pow(_arithmetic.PlainArithmetic):
    """a to the power of b with numpy's broadcasting."""

    name: ClassVar[str] = "POW"
    options: ClassVar[str] = "PowOptions"
    accepted: ClassVar[tuple[str, ...]] = ("float32",)
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ()
    sample_dtypes: ClassVar[tuple[str, ...]] = ("float32",)

    def combine(self, a: Array, b: Array) -> Array:
        return np.power(a.astype(np.float64), b.astype(np.float64))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.pow(b)

    kernels = (pair_kernel("pow", "float32"),)
