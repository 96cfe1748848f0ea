"""LOGICAL_NOT: true for false, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._function import FloatFunction, unary_kernel
from smidgen.ops._op import QuantRule, Role, unsupported

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LogicalNot(FloatFunction):
    """Whether x is false."""

    name: ClassVar[str] = "LOGICAL_NOT"
    options: ClassVar[str] = "LogicalNotOptions"
    dtypes: ClassVar[tuple[str, ...]] = ("bool",)
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("bool",)
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("bool",)

    def apply(self, x: Array) -> Array:
        return np.logical_not(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].logical_not()

    int_ref = unsupported("truth values have no scale")

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.INDEX,), outputs=Role.INDEX)

    kernels = (unary_kernel("logical_not", "bool"),)
