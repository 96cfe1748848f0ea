"""MUL: the product of two tensors that broadcast, then a fused activation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _elementwise, _range
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from smidgen.ir import QuantParams

Array = np.ndarray[Any, Any]

# Products of centred int8 numbers take 16 bits, those of int16 ones 30: larger factors would push
# them out of 32.
MAX_FACTOR = {"int8": 2.0**14, "int16": 1.0}
_DSP_MAX_SHIFT = 21  # see sm_requantize_dsp


def _real_factor(types: NodeTypes) -> float:
    return types.scale(0) * types.scale(1) / types.scale(-1)


def _dsp_guard(site: Site) -> str | None:
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = _elementwise.guard("int8")(site) or _elementwise.rows_refusal(site)
    if refusal is None:
        shift = quantize_multiplier(_real_factor(NodeTypes(site.inputs, site.outputs)))[1]
        if not 1 <= -shift <= _DSP_MAX_SHIFT:
            return f"a shift that is not 1 to {_DSP_MAX_SHIFT}"
    return refusal


def _dsp_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Mul)
    multiplier, shift = quantize_multiplier(_real_factor(NodeTypes(site.inputs, site.outputs)))
    low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
    return {
        **_elementwise.rows(site),
        "a_offset": -site.quant(0).zero_point,
        "b_offset": -site.quant(1).zero_point,
        "multiplier": multiplier,
        "shift": -shift,
        "twice_offset": 2 * site.quant(-1).zero_point + 1,
        "act_min": low,
        "act_max": high,
    }


def _int8_params(site: Site) -> Mapping[str, Param]:
    multiplier, shift = quantize_multiplier(_real_factor(NodeTypes(site.inputs, site.outputs)))
    return {"multiplier": multiplier, "shift": shift}


@dataclass(frozen=True)
class Mul(_elementwise.Binary):
    """a * b with numpy's broadcasting, then the fused activation."""

    name: ClassVar[str] = "MUL"
    options: ClassVar[str] = "MulOptions"

    def float_combine(self, a: Array, b: Array) -> Array:
        return a * b

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        factor = quantize_multiplier(_real_factor(types))
        return requantize(a * b, *factor, rounding=rounding).astype(np.int64)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        largest = MAX_FACTOR.get(types.dtype)
        if largest is not None and _real_factor(types) > largest:
            raise ValueError(
                f"the scales differ by a factor of {_real_factor(types):.3g}; "
                f"{largest:.0f} is the limit"
            )

    def tflite_version(self, types: NodeTypes) -> int:
        if types.dtype == "int16":
            return 4
        if types.dtype == "int8" and _real_factor(types) >= 1:
            return 3
        return super().tflite_version(types)

    @classmethod
    def draw_quants(
        cls, draw: DrawFn, dtypes: Sequence[str]
    ) -> tuple[list[QuantParams | None], QuantParams | None]:
        from smidgen.ops import _draw

        quants, out = super().draw_quants(draw, dtypes)
        if dtypes[0] == "int16":
            product = math.prod(q.scale for q in quants if q is not None)
            out = draw(_draw.quant(2**10 * product, 2**18 * product, "int16"))
        return quants, out

    value_range = _range.corners
    kernels = (
        Kernel(
            "sm_mul_int8_dsp",
            "mul_int8_dsp.h",
            guard=_dsp_guard,
            params=_dsp_params,
            arguments=(0, 1),
            overlap=_elementwise.overlap,
        ),
        *_elementwise.kernels("mul", _int8_params, "sm_mul_int8_params"),
    )
