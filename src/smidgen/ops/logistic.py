"""LOGISTIC: 1 / (1 + e^-x), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics import sigmoid_int16
from smidgen.numerics.logistic import (
    MIN_INPUT_SCALE,
    OUTPUT_SCALE,
    OUTPUT_ZERO_POINT,
    logistic_int8,
)
from smidgen.numerics.lookup import table_int8
from smidgen.ops._op import NodeTypes, QuantRule, Role, Types
from smidgen.ops._sigmoid import sigmoid_kernel
from smidgen.ops._unary import TableUnary, float_kernel, lookup_kernel, one

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Logistic(TableUnary):
    """The logistic function; the int8 result has scale 1/256 and zero point -128."""

    name: ClassVar[str] = "LOGISTIC"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        e = np.exp(-np.abs(x))  # never overflows
        y = np.where(x >= 0, np.float32(1), e) / (np.float32(1) + e)
        return (y.astype(np.float32),)

    def link(self) -> str:
        return "sigmoid"

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].sigmoid()

    def table(self, types: NodeTypes) -> Array:
        scale, zero_point = types.scale(0), types.zero_point(0)
        return table_int8(lambda x: logistic_int8(x, scale, zero_point))

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        return sigmoid_int16.logistic_int16(x, types.scale(0))

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        output = {
            "int8": QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT),
            "int16": QuantParams.per_tensor(sigmoid_int16.OUTPUT_SCALE, 0),
        }
        return QuantRule((Role.ACTIVATION,), output=output)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and types.scale(0) < MIN_INPUT_SCALE:
            raise ValueError(f"input scale {types.scale(0)} is below {MIN_INPUT_SCALE:.3g}")
        if types.dtype == "int16":
            sigmoid_int16.multiplier(
                types.scale(0), "logistic"
            )  # refuses scales that runtimes cannot take

    kernels = (lookup_kernel(), sigmoid_kernel("logistic"), float_kernel("logistic"))
