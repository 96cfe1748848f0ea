"""What operators on two numbers share that have no fused activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._broadcast import Broadcast, arrays_of, one_dtype
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role, unsupported

if TYPE_CHECKING:
    from smidgen.ops._sample import Operand

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Arithmetic(Broadcast):
    """Base of operators that combine two numbers, int8 ones at three scales."""

    accepted: ClassVar[tuple[str, ...]] = ("float32", "int8")

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        return one_dtype(dtypes, self.accepted)

    def combine(self, a: Array, b: Array) -> Array:
        """Floats, or integers that are no quantities."""
        raise NotImplementedError

    def int_combine(self, types: NodeTypes, a: Array, b: Array) -> Array:
        """Centred int64 operands to centred int64 results at the output's scale."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        a, b = arrays_of(arrays)
        with np.errstate(all="ignore"):  # of what is no number nothing else is expected
            return (self.combine(a, b).astype(a.dtype),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        a, b = (
            array.astype(np.int64) - types.zero_point(i)
            for i, array in enumerate(arrays_of(arrays))
        )
        result = self.int_combine(types, a, b) + types.zero_point(-1)
        return (np.clip(result, -128, 127).astype(np.int8),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION))


@dataclass(frozen=True)
class PlainArithmetic(Arithmetic):
    """Base of those that no runtime has for quantized numbers."""

    accepted: ClassVar[tuple[str, ...]] = ("float32", "int32")
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)

    int_ref = unsupported("no runtime computes it of quantized numbers")

    def tflite_version(self, types: NodeTypes) -> int:
        return 1


def offsets(site: Site) -> Mapping[str, Param]:
    """The zero points, as kernels add them."""
    return {
        "a_offset": -site.quant(0).zero_point,
        "b_offset": -site.quant(1).zero_point,
        "output_offset": site.quant(-1).zero_point,
    }


def without_zeros(operands: list[Operand]) -> list[Operand]:
    """The operands of a sample, the divisor without a zero."""
    divisor = operands[1]
    if divisor.type.dtype == "float32":
        return operands  # normal numbers are hardly ever 0
    zero = 0 if divisor.type.quant is None else divisor.type.quant.zero_point
    if divisor.data is not None:
        data = np.where(divisor.data == zero, zero + 1 if zero < 127 else zero - 1, divisor.data)
        return [operands[0], replace(divisor, data=data.astype(divisor.data.dtype))]
    if divisor.type.quant is None:
        limits = (1, 100)
    else:
        limits = (zero + 1, 127) if zero < 0 else (-128, zero - 1)
    return [operands[0], replace(divisor, limits=limits)]
