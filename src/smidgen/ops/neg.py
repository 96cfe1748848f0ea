"""NEG: minus x, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops._function import FloatFunction, unary_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Neg(FloatFunction):
    """-x; of the least integer itself."""

    name: ClassVar[str] = "NEG"
    options: ClassVar[str] = "NegOptions"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int32", "int64")
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int32", "int64")

    def apply(self, x: Array) -> Array:
        return -x

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return -tensors[0]

    kernels = tuple(
        unary_kernel("neg", dtype, source="neg.h") for dtype in ("float32", "int32", "int64")
    )
