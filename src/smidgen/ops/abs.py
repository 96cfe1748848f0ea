"""ABS: the magnitude, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.numerics.lookup import INT8_VALUES
from smidgen.numerics.rectify import rescale
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import lookup_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Abs(TableFunction):
    """The magnitude of x; of the least int32 itself."""

    name: ClassVar[str] = "ABS"
    options: ClassVar[str] = "AbsOptions"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int32")
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "float32", "int32")
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")

    def apply(self, x: Array) -> Array:
        return np.abs(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].abs()

    def table(self, types: NodeTypes) -> Array:
        quants = (types.scale(0), 0, types.scale(-1), types.zero_point(-1))
        distance = np.abs(INT8_VALUES.astype(np.int16) - types.zero_point(0))
        return rescale(distance, *quants, dtype="int8").astype(np.int8)

    kernels = (
        lookup_kernel(),
        unary_kernel("abs", source="abs.h"),
        unary_kernel("abs", "int32", source="abs.h"),
    )
