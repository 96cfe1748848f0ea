"""HARD_SWISH: x * min(max(x + 3, 0), 6) / 6, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.hard_swish import hard_swish_int8
from smidgen.numerics.lookup import table_int8
from smidgen.ops._op import NodeTypes, Op, Types
from smidgen.ops._unary import TableUnary, draw_ratio, float_kernel, lookup_kernel, one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class HardSwish(TableUnary):
    """Hard swish; an int8 result's scale must be above 1/128 of the operand's."""

    name: ClassVar[str] = "HARD_SWISH"
    options: ClassVar[str] = "HardSwishOptions"
    int8_version: ClassVar[int] = 1

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        gate = np.clip(x + np.float32(3), np.float32(0), np.float32(6))
        return ((x * gate / np.float32(6)).astype(np.float32),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        return functional.hardswish(tensors[0])

    def table(self, types: NodeTypes) -> Array:
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return table_int8(lambda x: hard_swish_int8(x, *quants))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8":
            self.table(types)  # refuses scales that the runtimes refuse

    kernels = (lookup_kernel(), float_kernel("hard_swish"))

    @classmethod
    def draw_output_quant(cls, op: Op, x: QuantParams) -> SearchStrategy[QuantParams]:
        return draw_ratio(x, 1e-2, 1e2)
