"""EXP: e^x, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.numerics.tabulate import nearest
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._unary import lookup_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Exp(TableFunction):
    """e^x."""

    name: ClassVar[str] = "EXP"
    options: ClassVar[str] = "ExpOptions"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)
    sample_scales: ClassVar[tuple[float, float]] = (1e-4, 0.05)

    def apply(self, x: Array) -> Array:
        return nearest(np.exp)(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].exp()

    kernels = (lookup_kernel(), unary_kernel("exp"))
