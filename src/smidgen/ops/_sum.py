"""What ADD and SUB share: bringing two operands to one scale, and the sum to the output's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _elementwise
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Types

Array = np.ndarray[Any, Any]
Factor = tuple[int, int]  # multiplier, shift

# Operands are shifted left by this before they are scaled, as in TFLM.
LEFT_SHIFT = 20


@dataclass(frozen=True)
class Sum(_elementwise.Binary):
    """a + sign * b. Operands are scaled to twice the larger of their scales first."""

    sign: ClassVar[int]

    def factors(self, types: NodeTypes) -> tuple[Factor, Factor, Factor]:
        """Of each operand and of the result, as TFLM has them."""
        a, b, out = (types.scale(i) for i in (0, 1, -1))
        twice = 2 * max(a, b)
        reals = (a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * out))
        first, second, third = (quantize_multiplier(real) for real in reals)
        return first, second, third

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        *operands, result = self.factors(types)
        first, second = (
            requantize(x << LEFT_SHIFT, *factor, rounding=rounding).astype(np.int64)
            for x, factor in zip((a, b), operands, strict=True)
        )
        total = requantize(first + self.sign * second, *result, rounding=rounding)
        return total.astype(np.int64)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and self.factors(types)[2][1] > 0:
            raise ValueError(
                f"the output's scale {types.scale(-1):.3g} is too small for operands of scale "
                f"{types.scale(0):.3g} and {types.scale(1):.3g}"
            )


def kernels(name: str) -> tuple[Kernel, ...]:
    """The int8 and the float32 kernel of `name`."""
    return _elementwise.kernels(name, _int8_params, "sm_sum_int8_params")


def _int8_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Sum)
    fields: dict[str, Param] = {}
    factors = site.op.factors(NodeTypes(site.inputs, site.outputs))
    for name, (multiplier, shift) in zip(("a", "b", "output"), factors, strict=True):
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields
