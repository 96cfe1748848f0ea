"""SIGN: the sign, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sign(FloatFunction):
    """-1, 0 or 1."""

    name: ClassVar[str] = "SIGN"
    options: ClassVar[str] = "SignOptions"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int32")
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ()
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int32")

    def apply(self, x: Array) -> Array:
        return np.sign(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].sign()

    kernels = tuple(unary_kernel("sign", dtype, source="sign.h") for dtype in ("float32", "int32"))
