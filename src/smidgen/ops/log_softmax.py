"""LOG_SOFTMAX: x minus the logarithm of the sum of e^x, over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.log_softmax import (
    MAX_DEPTH,
    OUTPUT_SCALE,
    OUTPUT_ZERO_POINT,
    exponentials,
    factors,
    log_softmax_int8,
)
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, Types
from smidgen.ops._row_norm import RowNorm, row_kernel
from smidgen.ops._unary import one

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    scale = site.quant(0).scale
    (multiplier, shift), (back, back_shift), least = factors(scale)
    table = exponentials(scale)
    return {
        "multiplier": multiplier,
        "shift": shift,
        "reverse_multiplier": back,
        "reverse_shift": back_shift,
        "least": max(least, -256),
        "table_size": len(table),
        "table": table,
    }


@dataclass(frozen=True)
class LogSoftmax(RowNorm):
    """Logarithms of a softmax; the int8 result has scale 1/16 and zero point 127."""

    name: ClassVar[str] = "LOG_SOFTMAX"
    options: ClassVar[str] = "LogSoftmaxOptions"
    int8_output: ClassVar[QuantParams] = QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT)
    longest: ClassVar[int] = MAX_DEPTH

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        below = x - x.max(axis=-1, keepdims=True)
        total = np.exp(below).sum(axis=-1, keepdims=True, dtype=np.float32)
        return ((below - np.log(total)).astype(np.float32),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].log_softmax(-1)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return (log_softmax_int8(one(arrays), types.scale(0)),)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8":
            factors(types.scale(0))  # refuses scales that the runtimes have no factor for

    kernels = (
        row_kernel("log_softmax", "int8", _params),
        row_kernel("log_softmax", "float32", lambda site: {}),
    )
