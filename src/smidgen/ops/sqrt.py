"""SQRT: the square root, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams
from smidgen.numerics.tabulate import nearest, real_values
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import lookup_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sqrt(TableFunction):
    """The square root; an int8 result is rounded down, as LiteRT does it."""

    name: ClassVar[str] = "SQRT"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)

    def apply(self, x: Array) -> Array:
        return nearest(np.sqrt)(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].sqrt()

    def table(self, types: NodeTypes) -> Array:
        x = np.maximum(real_values(types.scale(0), types.zero_point(0)), 0)
        steps = np.trunc(np.sqrt(x) / np.float32(types.scale(-1)))
        table: Array = np.clip(steps + types.zero_point(-1), -128, 127).astype(np.int8)
        return table

    @classmethod
    def draw_input_quant(cls) -> SearchStrategy[QuantParams]:
        from hypothesis import strategies as st

        # The runtimes stop at a negative number.
        return st.floats(1e-4, 1.0).map(lambda scale: QuantParams.per_tensor(scale, -128))

    kernels = (lookup_kernel(), unary_kernel("sqrt"))
