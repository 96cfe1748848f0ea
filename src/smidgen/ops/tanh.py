"""TANH: the hyperbolic tangent, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics import sigmoid_int16
from smidgen.numerics.lookup import table_int8
from smidgen.numerics.tanh import MIN_INPUT_SCALE, OUTPUT_SCALE, OUTPUT_ZERO_POINT, tanh_int8
from smidgen.ops._op import NodeTypes, QuantRule, Role, Types
from smidgen.ops._sigmoid import sigmoid_kernel
from smidgen.ops._unary import TableUnary, float_kernel, lookup_kernel, one

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tanh(TableUnary):
    """The hyperbolic tangent; the int8 result has scale 1/128 and zero point 0."""

    name: ClassVar[str] = "TANH"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.tanh(one(arrays)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].tanh()

    def table(self, types: NodeTypes) -> Array:
        scale, zero_point = types.scale(0), types.zero_point(0)
        return table_int8(lambda x: tanh_int8(x, scale, zero_point))

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        return sigmoid_int16.tanh_int16(x, types.scale(0))

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
                types.scale(0), "tanh"
            )  # refuses scales that runtimes cannot take

    kernels = (lookup_kernel(), sigmoid_kernel("tanh"), float_kernel("tanh"))
