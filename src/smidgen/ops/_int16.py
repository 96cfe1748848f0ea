"""What layers with int16 activations and int8 weights take in C (16x8).

The runtimes sum their products in 64 bits, unless the bias is int32, and scale 64-bit sums with a
multiplier of 15 bits (`requantize_wide`); with an int32 bias everything is as in int8 layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.numerics.requantize import INT32_MAX, WIDE_LIMIT
from smidgen.ops import _conv
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes

Array = np.ndarray[Any, Any]


def params(site: Site) -> dict[str, Param]:
    """The last fields of every kernel that takes int16 and int8 weights."""
    op = site.op
    assert isinstance(op, _conv.Weighted)
    multiplier, shift = op.factors(NodeTypes(site.inputs, site.outputs))
    wide = _conv.is_wide(site.inputs)
    low, high = int_bounds(op.fused_activation_function, site.quant(-1), "int16")
    bias = site.constants[2] if len(site.constants) > 2 else None
    fits = bias is None or np.abs(bias).max(initial=0) <= INT32_MAX
    return {
        "wide": int(wide),
        "act_min": low,
        "act_max": high,
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
        "bias": bias.astype(np.int32) if bias is not None and fits else None,
        "wide_bias": None if bias is None or fits else bias.astype(np.int64),
        "weights": site.constant(1),
    }


def guard(site: Site) -> str | None:
    """Why the kernels for int16 cannot compute this site, or None."""
    wide = _conv.is_wide(site.inputs)
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    wanted = ("int16", "int8", "int16")
    refusal = _conv.refusal(site, wanted, got, "int64" if wide else "int32")
    if refusal is None:
        largest, limit = _largest_sum(site), WIDE_LIMIT if wide else INT32_MAX
        if largest > limit:
            return f"sums up to {largest}; {limit} is the limit"
    return refusal


def _largest_sum(site: Site) -> int:
    op = site.op
    assert isinstance(op, _conv.Weighted)
    w = np.moveaxis(site.constant(1), op.weight_axis, 0)
    sums = np.abs(w.reshape(w.shape[0], -1).astype(np.int64)).sum(1) << 15
    bias = site.constants[2] if len(site.constants) > 2 else None
    return int((sums if bias is None else sums + np.abs(bias.astype(np.int64)).ravel()).max())


def window_params(site: Site, **own: Param) -> Mapping[str, Param]:
    """Fields of an int16 convolution's struct: the window, the operator's `own`, the rest."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, _conv.Convolution)
    return {**op.window(w.shape).on(site).params(x, site.output), **own, **params(site)}
