"""ELU: x, and e^x - 1 below 0, element by element."""

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
class Elu(TableFunction):
    """x where it is positive, e^x - 1 elsewhere."""

    name: ClassVar[str] = "ELU"
    int8_version: ClassVar[int] = 1
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ()

    def apply(self, x: Array) -> Array:
        return np.where(x < 0, nearest(np.expm1)(np.minimum(x, 0)), x).astype(np.float32)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        return functional.elu(tensors[0])

    def table(self, types: NodeTypes) -> Array:
        def elu(x: Array) -> Array:  # the runtimes subtract in float32 where they make a table
            return np.where(x < 0, nearest(np.exp)(np.minimum(x, 0)) - np.float32(1), x)

        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return tabulate_int8(elu, *quants)

    kernels = (lookup_kernel(), unary_kernel("elu"))
