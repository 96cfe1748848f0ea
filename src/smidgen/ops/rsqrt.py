"""RSQRT: 1 / sqrt(x), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams
from smidgen.numerics.inverse_sqrt import rsqrt_int8
from smidgen.numerics.lookup import table_int8
from smidgen.numerics.tabulate import nearest
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import lookup_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rsqrt(TableFunction):
    """1 / sqrt(x); 127 for an int8 number that is not positive."""

    name: ClassVar[str] = "RSQRT"

    def apply(self, x: Array) -> Array:
        return nearest(lambda x: 1 / np.sqrt(x))(x)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].rsqrt()

    def table(self, types: NodeTypes) -> Array:
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return table_int8(lambda x: rsqrt_int8(x, *quants))

    @classmethod
    def draw_input_quant(cls) -> SearchStrategy[QuantParams]:
        from hypothesis import strategies as st

        # The runtimes stop at a negative number.
        return st.floats(1e-4, 1.0).map(lambda scale: QuantParams.per_tensor(scale, -128))

    kernels = (lookup_kernel(), unary_kernel("rsqrt"))
