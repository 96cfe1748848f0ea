"""Models that PyTorch has quantized: pairs of quantize and dequantize, which keep their scales.

They become operators in float between DEQUANTIZE and QUANTIZE, which `lowering.qdq` then turns into
operators on integers. Bytes of uint8 become int8 with everything 128 lower, which is exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smidgen.frontends.lowering import Array, on_grid
from smidgen.frontends.torch_export.site import Result, Site, rule
from smidgen.ir import QuantParams
from smidgen.ops import get_op

# PyTorch's type of the integers: the graph's, and by how much it is lower.
_TYPES = {"int8": ("int8", 0), "uint8": ("int8", 128), "int16": ("int16", 0)}


def _params(site: Site) -> tuple[Array, Array, int | None]:
    """Scales, zero points and the axis that they are along."""
    if not site.call.packet.endswith("channel"):
        scale, zero = _one(site, "scale"), _one(site, "zero_point")
        return np.array([scale]), np.array([int(zero)]), None
    scales = site.array("scales")
    zeros = site.array("zero_points") if site.has("zero_points") else np.zeros(scales.shape)
    return scales, zeros.astype(np.int64), site.integer("axis")


def _one(site: Site, name: str) -> float:
    """A number, or a tensor of one number."""
    if isinstance(site.call.args.get(name), (int, float)):
        return site.number(name)
    array = site.array(name)
    if array.size != 1:
        raise site.malformed(f"its {name} has shape {array.shape}")
    return float(array.reshape(-1)[0])


def _type(site: Site) -> tuple[str, int]:
    """The graph's type of the integers, which must use all of it, and by how much it is lower."""
    given = site.text("dtype", "int8")
    low, high = site.integer("quant_min"), site.integer("quant_max")
    if given not in _TYPES:
        raise site.refuse(f"it quantizes to {given}", hint="quantize to int8, uint8 or int16")
    limits = np.iinfo(given)
    if low not in (limits.min, limits.min + 1) or high != limits.max:
        raise site.refuse(
            f"it quantizes to {given} from {low} to {high}",
            hint=f"use all of {given}, from {limits.min} to {limits.max}",
        )
    return _TYPES[given]


@rule("quantize_per_tensor", "quantize_per_channel")
def quantize(site: Site) -> Result:
    """Real numbers to integers: known ones at once, ties to even as PyTorch rounds."""
    x = site.tensor("input")
    scales, zeros, axis = _params(site)
    if not isinstance(x, str):
        shape = [1] * x.ndim
        if axis is not None:
            shape[axis] = -1
        low, high = site.integer("quant_min"), site.integer("quant_max")
        steps = np.rint(np.asarray(x) * (1 / scales.astype(np.float32)).reshape(shape))
        q = np.clip(steps + zeros.reshape(shape), low, high)
        return np.asarray(q, site.text("dtype", "int8"))
    dtype, shift = _type(site)
    if axis is not None:
        raise site.refuse(
            "an activation has a scale for each channel",
            hint="quantize activations per tensor, weights per channel",
        )
    scale, zero = float(scales[0]), int(zeros[0])
    if not (math.isfinite(scale) and scale > 0):
        raise site.malformed(f"its scale is {scale}")
    make: Any = get_op("QUANTIZE")
    params = QuantParams.per_tensor(scale, zero - shift)
    return site.at.builder.add(make(dtype=dtype), [x], quant=params, name=site.at.layer)


@rule("dequantize_per_tensor", "dequantize_per_channel")
def dequantize(site: Site) -> Result:
    """Integers to the real numbers that they stand for."""
    x = site.tensor("input")
    scales, zeros, axis = _params(site)
    if not isinstance(x, str):
        return on_grid(x, scales, zeros, axis)
    given = site.at.type(x).quant
    shift = _type(site)[1]
    if given is None or axis is not None:
        raise site.refuse("its operand is no quantized tensor", hint="quantize it per tensor")
    stated = QuantParams.per_tensor(float(scales[0]), int(zeros[0]) - shift)
    if given != stated:
        raise site.refuse(
            f"it reads {given} as {stated}", hint="use one scale for a tensor, where it is made"
        )
    return site.at.add("DEQUANTIZE", [x])
