"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: weights, bias, requantization."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multipliers, requantize
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, TfliteNode

Array = np.ndarray[Any, Any]


def image_and_weights(types: tuple[TensorType | None, ...]) -> tuple[TensorType, TensorType]:
    """The first two operands of a convolution, checked to be of rank 4.

    Raises:
        ValueError: if one is missing or has another rank.
    """
    x, w = two(types)
    for what, type in (("input", x), ("weights", w)):
        if type.rank != 4:
            raise ValueError(f"{what} must have rank 4 (channels last), got shape {type.shape}")
    return x, w


def two(types: tuple[TensorType | None, ...]) -> tuple[TensorType, TensorType]:
    """The first two operands, which must be present."""
    if len(types) not in (2, 3) or types[0] is None or types[1] is None:
        raise ValueError("takes an input, weights and an optional bias")
    return types[0], types[1]


def check_bias(types: tuple[TensorType | None, ...], channels: int) -> None:
    """Raise ValueError unless the bias is absent or has one element for each channel."""
    bias = types[2] if len(types) > 2 else None
    if bias is not None and bias.size != channels:
        raise ValueError(f"bias of shape {bias.shape} for {channels} output channels")


def three(arrays: tuple[Array | None, ...]) -> tuple[Array, Array, Array | None]:
    """Input, weights and bias (None when left out)."""
    x, w = arrays[0], arrays[1]
    assert x is not None and w is not None
    return x, w, arrays[2] if len(arrays) > 2 else None


def operands(node: TfliteNode) -> tuple[int | None, ...]:
    """IR operands of a file's convolution: a bias of -1 or beyond the list is left out."""
    has_bias = len(node.types) > 2 and node.types[2] is not None
    return (0, 1, 2 if has_bias else None)


def multipliers(types: NodeTypes, channels: int) -> tuple[Array, Array]:
    """Multiplier and shift of each output channel, int32 (channels,).

    The real factor is double(input scale) * double(weight scale) / double(output scale).
    """
    weights = np.asarray(types.quant(1).scales, np.float64)
    real = types.scale(0) * weights / types.scale(-1)
    return quantize_multipliers(np.broadcast_to(real, (channels,)))


def finish_int(
    acc: Array, bias: Array | None, types: NodeTypes, activation: str, rounding: str
) -> Array:
    """Accumulators (n, ..., channels) to the output's integers: bias, requantize, clamp."""
    if bias is not None:
        acc = acc + bias.astype(np.int64)
    multiplier, shift = multipliers(types, acc.shape[-1])
    low, high = int_bounds(activation, types.quant(-1), types.outputs[0].dtype)
    scaled = requantize(acc, multiplier, shift, rounding=rounding).astype(np.int64)
    out = np.clip(scaled + types.zero_point(-1), low, high)
    return out.astype(types.outputs[0].dtype)


def int8_params(site: Site, activation: str, channels: int) -> dict[str, Param]:
    """Fields that every int8 kernel with weights has, but for the weights."""
    types = NodeTypes(site.inputs, site.outputs)
    multiplier, shift = multipliers(types, channels)
    low, high = int_bounds(activation, site.quant(-1), "int8")
    bias = site.constants[2] if len(site.constants) > 2 else None
    return {
        "input_offset": -site.quant(0).zero_point,
        "output_offset": site.quant(-1).zero_point,
        "act_min": low,
        "act_max": high,
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
        "bias": None if bias is None else bias.astype(np.int32),
    }


def int8_guard(site: Site) -> str | None:
    """Why the portable int8 kernels cannot compute this site, or None."""
    wanted = ("int8", "int8", "int8")
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    return _guard(site, wanted, got, "int32")


def float_guard(site: Site) -> str | None:
    """Why the float kernels cannot compute this site, or None."""
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    return _guard(site, ("float32",) * 3, got, "float32")


def _guard(site: Site, wanted: tuple[str, ...], got: tuple[str, ...], bias: str) -> str | None:
    if got != wanted:
        return f"input, weights and output are {', '.join(got)}, not {', '.join(wanted)}"
    if site.constants[1] is None:
        return "the weights are computed at run time"
    if len(site.inputs) > 2 and site.inputs[2] is not None:
        if site.constants[2] is None or site.input(2).dtype != bias:
            return f"the bias is not a constant {bias} tensor"
    if site.rounding != "double" and wanted[0] == "int8":
        return "the kernels round as TFLM does (double rounding)"
    if site.output.shape[0] != 1 and site.output.rank == 4:
        return f"batch {site.output.shape[0]}; kernels run one sample at a time"
    return None
