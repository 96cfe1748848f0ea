"""ADD: the sum of two tensors that broadcast, then a fused activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _elementwise, _range
from smidgen.ops._activation import float_activation, float_bounds, int_bounds, read_activation
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    NOT_TRAINABLE_YET,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    TfliteNode,
    TfliteOp,
    unsupported,
)
from smidgen.ops._range import Range

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

# Operands are shifted left by this before they are scaled to a common scale, as in TFLM.
LEFT_SHIFT = 20


@dataclass(frozen=True)
class SumScales:
    """The three factors of a quantized sum: each operand's and the result's, as TFLM has them."""

    factors: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, a: float, b: float, out: float) -> SumScales:
        """From the scales of the operands and of the result."""
        twice = 2.0 * max(a, b)
        reals = (a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * out))
        first, second, third = (quantize_multiplier(r) for r in reals)
        return cls((first, second, third))

    def apply(self, a: Array, b: Array, sign: int, rounding: str) -> Array:
        """Centred integers a and b to a + sign * b at the result's scale."""
        parts = [
            requantize(x.astype(np.int64) << LEFT_SHIFT, *factor, rounding=rounding)
            for x, factor in zip((a, b), self.factors[:2], strict=True)
        ]
        total = parts[0].astype(np.int64) + sign * parts[1].astype(np.int64)
        return np.asarray(requantize(total, *self.factors[2], rounding=rounding), np.int64)

    def params(self) -> dict[str, Param]:
        """The factors as fields of a kernel's struct."""
        fields: dict[str, Param] = {}
        for name, (multiplier, shift) in zip(("a", "b", "output"), self.factors, strict=True):
            fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
        return fields


def int8_params(site: Site, activation: str) -> Mapping[str, Param]:
    """Fields of `sm_add_int8_params`, which SUB shares."""
    low, high = int_bounds(activation, site.quant(-1), "int8")
    scales = SumScales.of(site.quant(0).scale, site.quant(1).scale, site.quant(-1).scale)
    return {
        **_elementwise.loops(site),
        "a_offset": -site.quant(0).zero_point,
        "b_offset": -site.quant(1).zero_point,
        "output_offset": site.quant(-1).zero_point,
        **scales.params(),
        "act_min": low,
        "act_max": high,
    }


def float_params(site: Site, activation: str) -> Mapping[str, Param]:
    """Fields of `sm_add_float32_params`, which SUB and MUL share."""
    low, high = float_bounds(activation)
    return {**_elementwise.loops(site), "act_min": low, "act_max": high}


@dataclass(frozen=True)
class Add(Op):
    """a + b with numpy's broadcasting, then the fused activation."""

    name: ClassVar[str] = "ADD"

    fused_activation_function: str = "NONE"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        return _elementwise.infer(types, self.fused_activation_function)

    def batchable(self, *types: TensorType | None) -> bool:
        return _elementwise.batchable(types)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        a, b = _elementwise.both(arrays)
        return (float_activation(a + b, self.fused_activation_function),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        a, b = _elementwise.both(arrays)
        scales = SumScales.of(types.scale(0), types.scale(1), types.scale(-1))
        centred = (
            a.astype(np.int64) - types.zero_point(0),
            b.astype(np.int64) - types.zero_point(1),
        )
        total = scales.apply(*centred, 1, rounding) + types.zero_point(-1)
        bounds = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        return (np.clip(total, *bounds).astype(types.dtype),)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        if types.outputs[0].quant is not None:
            scales = SumScales.of(types.scale(0), types.scale(1), types.scale(-1))
            if scales.factors[2][1] > 0:  # the sum, shifted left, may wrap around
                return super().value_range(types, *ranges)
        return _range.monotone(self, types, *ranges)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return _elementwise.quant_rule()

    torch_lower = unsupported(NOT_TRAINABLE_YET)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(read_activation(node.options["fused_activation_function"])), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"fused_activation_function": self.fused_activation_function}
        return TfliteOp("AddOptions", fields, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_add_int8",
            "add_int8.h",
            guard=_elementwise.guard("int8"),
            params=lambda site: int8_params(site, site.op.fused_activation_function),  # type: ignore[attr-defined]
            arguments=(0, 1),
            overlap=_elementwise.overlap,
        ),
        Kernel(
            "sm_add_float32",
            "add_float32.h",
            guard=_elementwise.guard("float32"),
            params=lambda site: float_params(site, site.op.fused_activation_function),  # type: ignore[attr-defined]
            arguments=(0, 1),
            struct="sm_elementwise_float32_params",
            overlap=_elementwise.overlap,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return _elementwise.axes(types)

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        return _elementwise.samples(cls)
