"""RELU6: min(max(x, 0), 6), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.lookup import table_int8
from smidgen.ops import _range
from smidgen.ops._activation import float_activation, int_bounds
from smidgen.ops._op import NodeTypes, Op, QuantRule, Role, Types
from smidgen.ops._range import Range
from smidgen.ops._unary import TableUnary, one
from smidgen.ops.relu import clamp_kernels, float_clamp_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Relu6(TableUnary):
    """min(max(x, 0), 6); an int8 result keeps the operand's scale and zero point.

    Runtimes disagree on an int8 RELU6 between different scales: LiteRT rescales, TensorFlow Lite
    Micro limits the operand's integers and leaves them as they are, so that the same file means
    two things. Such a node is refused. `int_ref` does what TensorFlow Lite Micro does.
    """

    name: ClassVar[str] = "RELU6"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (float_activation(one(arrays), "RELU6"),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].clamp(0.0, 6.0)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        if types.dtype == "float32":
            return _range.monotone(self, types, *ranges)
        return super().value_range(types, *ranges)

    def table(self, types: NodeTypes) -> Array:
        low, high = int_bounds("RELU6", types.quant(0), "int8")
        return table_int8(lambda x: np.clip(x, np.int8(low), np.int8(high)))

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        low, high = int_bounds("RELU6", types.quant(0), "int16")
        return np.clip(x, np.int16(low), np.int16(high))

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), ties=((0, -1),))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        try:
            super().check_quant(inputs, outputs)
        except ValueError as error:
            raise ValueError(
                f"{error} (runtimes disagree otherwise: fuse RELU6 into the layer before it)"
            ) from error
        types = NodeTypes(inputs, outputs)
        if types.dtype in ("int8", "int16"):
            int_bounds("RELU6", types.quant(0), types.dtype)  # refuses a scale too small for 6

    kernels = (*clamp_kernels("RELU6"), float_clamp_kernel("RELU6"))

    @classmethod
    def draw_output_quant(cls, op: Op, x: QuantParams) -> SearchStrategy[QuantParams]:
        from hypothesis import strategies as st

        return st.just(x)

    @classmethod
    def draw_int16_quants(cls, op: Op) -> SearchStrategy[tuple[QuantParams, QuantParams]]:
        from smidgen.ops import _draw

        return _draw.quant(1e-6, 2.0, "int16").map(lambda quant: (quant, quant))
