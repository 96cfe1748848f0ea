"""RELU: max(x, 0), element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.lookup import table_int8
from smidgen.numerics.rectify import relu
from smidgen.numerics.requantize import quantize_multiplier
from smidgen.ops import _range
from smidgen.ops._activation import float_activation, float_bounds, int_bounds
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, Types
from smidgen.ops._range import Range
from smidgen.ops._unary import (
    TableUnary,
    check_factor,
    float_kernel,
    guard,
    in_place,
    lookup_kernel,
    one,
)

Array = np.ndarray[Any, Any]


def _same_scale_guard(site: Site, dtype: str = "int8") -> str | None:
    refusal = guard(dtype)(site)
    if refusal is None and site.input(0).quant != site.output.quant:
        refusal = "input and output have different scales or zero points"
    return refusal


def _dsp_guard(site: Site) -> str | None:
    return _same_scale_guard(site) if "dsp" in site.features else "the core has no DSP instructions"


def clamp_kernels(activation: str) -> tuple[Kernel, ...]:
    """The kernels that limit integers whose scale does not change: int8 with DSP, int8, int16."""

    def params(site: Site) -> Mapping[str, Param]:
        low, high = int_bounds(activation, site.quant(-1), site.dtype)
        return {"size": site.output.size, "act_min": low, "act_max": high}

    return tuple(
        Kernel(
            f"sm_{name}", f"{name}.h", guard=check, params=params, arguments=(0,), overlap=in_place
        )
        for name, check in (
            ("relu_int8_dsp", _dsp_guard),
            ("relu_int8", _same_scale_guard),
            ("relu_int16", lambda site: _same_scale_guard(site, "int16")),
        )
    )


def rectify_kernel(alpha: Callable[[Op], float]) -> Kernel:
    """The kernel that scales int16 elements; negative ones by `alpha` times the factor."""

    def params(site: Site) -> Mapping[str, Param]:
        ratio = site.quant(0).scale / site.quant(-1).scale
        multiplier, shift = quantize_multiplier(ratio)
        slope = alpha(site.op)
        below, below_shift = quantize_multiplier(site.quant(0).scale * slope / site.quant(-1).scale)
        return {
            "size": site.output.size,
            "multiplier": multiplier,
            "shift": shift,
            "below_multiplier": abs(below),
            "below_shift": below_shift,
            "below_sign": -1 if below < 0 else 1,
        }

    return Kernel(
        "sm_rectify_int16",
        "rectify_int16.h",
        guard=guard("int16"),
        params=params,
        arguments=(0,),
        overlap=in_place,
    )


def float_clamp_kernel(activation: str) -> Kernel:
    """The kernel that limits float elements."""
    low, high = float_bounds(activation)
    return float_kernel("relu", lambda site: {"act_min": low, "act_max": high})


@dataclass(frozen=True)
class Relu(TableUnary):
    """max(x, 0); an int8 result may have another scale."""

    name: ClassVar[str] = "RELU"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (float_activation(one(arrays), "RELU"),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].relu()

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        if types.dtype == "float32":
            return _range.monotone(self, types, *ranges)
        return super().value_range(types, *ranges)

    def table(self, types: NodeTypes) -> Array:
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return table_int8(lambda x: relu(x, *quants))

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        return relu(x, types.scale(0), 0, types.scale(-1), 0, "int16")

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype in ("int8", "int16"):
            check_factor(types.scale(0) / types.scale(-1))

    kernels = (
        *clamp_kernels("RELU"),
        lookup_kernel(),
        rectify_kernel(lambda op: 0.0),
        float_clamp_kernel("RELU"),
    )
