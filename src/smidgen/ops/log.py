"""LOG: the natural logarithm, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.numerics.tabulate import nearest, tabulate_int8
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import lookup_kernel

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Log(TableFunction):
    """The natural logarithm; of an int8 number that is not positive the least result."""

    name: ClassVar[str] = "LOG"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)

    def apply(self, x: Array) -> Array:
        return nearest(np.log)(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].log()

    def table(self, types: NodeTypes) -> Array:
        least = np.float32(-128 - types.zero_point(-1)) * np.float32(types.scale(-1))

        def log(x: Array) -> Array:
            return np.where(x > 0, nearest(np.log)(np.where(x > 0, x, 1)), least)

        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return tabulate_int8(log, *quants)

    kernels = (lookup_kernel(), unary_kernel("log"))
