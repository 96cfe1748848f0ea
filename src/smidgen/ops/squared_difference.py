"""SQUARED_DIFFERENCE: (a - b)^2 of two tensors that broadcast, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _arithmetic
from smidgen.ops._broadcast import pair_kernel
from smidgen.ops._elementwise import table_kernels
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, Types

Array = np.ndarray[Any, Any]
Factor = tuple[int, int]  # multiplier, shift

# Operands are shifted left by this before they are scaled, so that the square fits 32 bits.
LEFT_SHIFT = 7


def _factors(types: NodeTypes) -> tuple[Factor, Factor, Factor]:
    """Of each operand and of the square, as TFLM has them."""
    a, b, out = (types.scale(i) for i in (0, 1, -1))
    twice = 2 * max(a, b)
    reals = (a / twice, b / twice, twice * twice / ((1 << 2 * LEFT_SHIFT) * out))
    first, second, third = (quantize_multiplier(real) for real in reals)
    return first, second, third


def _params(site: Site) -> Mapping[str, Param]:
    fields = dict(_arithmetic.offsets(site))
    factors = _factors(NodeTypes(site.inputs, site.outputs))
    for name, (multiplier, shift) in zip(("a", "b", "output"), factors, strict=True):
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields


@dataclass(frozen=True)
class SquaredDifference(_arithmetic.Arithmetic):
    """(a - b)^2 with numpy's broadcasting; int32 numbers wrap around."""

    name: ClassVar[str] = "SQUARED_DIFFERENCE"
    options: ClassVar[str] = "SquaredDifferenceOptions"
    accepted: ClassVar[tuple[str, ...]] = ("float32", "int8", "int32")
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32", "int32")

    def combine(self, a: Array, b: Array) -> Array:
        difference: Array = a - b
        return difference * difference

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return (a - b).square()

    def int_combine(self, types: NodeTypes, a: Array, b: Array) -> Array:
        *operands, result = _factors(types)
        first, second = (
            requantize(x << LEFT_SHIFT, *factor).astype(np.int64)
            for x, factor in zip((a, b), operands, strict=True)
        )
        return requantize((first - second) ** 2, *result).astype(np.int64)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and _factors(types)[2][1] > 0:
            raise ValueError(
                f"the output's scale {types.scale(-1):.3g} is too small for operands of scale "
                f"{types.scale(0):.3g} and {types.scale(1):.3g}"
            )

    kernels = (
        *table_kernels(),
        pair_kernel(
            "squared_difference",
            "int8",
            struct="sm_squared_difference_int8_params",
            params=_params,
        ),
        pair_kernel("squared_difference", "float32", source="squared_difference.h"),
        pair_kernel("squared_difference", "int32", source="squared_difference.h"),
    )
