"""What the clamps share that LiteRT has as operators of their own: RELU_N1_TO_1, RELU_0_TO_1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.lookup import INT8_VALUES
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _range
from smidgen.ops._activation import int_bounds
from smidgen.ops._op import NodeTypes, Op, Types
from smidgen.ops._range import Range
from smidgen.ops._unary import (
    TableUnary,
    check_factor,
    draw_ratio,
    float_kernel,
    lookup_kernel,
    one,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Clamp(TableUnary):
    """min(max(x, low), 1); an int8 result may have another scale."""

    low: ClassVar[float]
    lower_bound_of: ClassVar[str]  # the fused activation with this lower bound
    int8_version: ClassVar[int] = 1
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ()
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "float32")

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.clip(one(arrays), np.float32(self.low), np.float32(1)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].clamp(self.low, 1.0)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        if types.dtype == "float32":
            return _range.monotone(self, types, *ranges)
        return super().value_range(types, *ranges)

    def table(self, types: NodeTypes) -> Array:
        # LiteRT, the only runtime that has these, divides the scales in float32.
        factor = float(np.float32(types.scale(0)) / np.float32(types.scale(-1)))
        centred = INT8_VALUES.astype(np.int64) - types.zero_point(0)
        scaled = requantize(centred, *quantize_multiplier(factor)).astype(np.int64)
        low = int_bounds(self.lower_bound_of, types.quant(-1), "int8")[0]
        high = int_bounds("RELU_N1_TO_1", types.quant(-1), "int8")[1]
        table: Array = np.clip(scaled + types.zero_point(-1), low, high).astype(np.int8)
        return table

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8":
            check_factor(types.scale(0) / types.scale(-1))
            int_bounds("RELU_N1_TO_1", types.quant(-1), "int8")  # refuses a scale too small for 1

    kernels = (
        lookup_kernel(),
        float_kernel("relu", lambda site: {"act_min": site.op.low, "act_max": 1.0}),  # type: ignore[attr-defined]
    )

    @classmethod
    def draw_output_quant(cls, op: Op, x: QuantParams) -> SearchStrategy[QuantParams]:
        return draw_ratio(x, 1e-2, 1e2)
