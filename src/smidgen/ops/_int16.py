"""What layers with int16 activations and int8 weights take in C (16x8).

The runtimes sum their products in 64 bits, unless the bias is int32, and scale 64-bit sums with a
multiplier of 15 bits (`requantize_wide`); with an int32 bias everything is as in int8 layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.numerics.requantize import INT32_MAX, WIDE_LIMIT
from smidgen.ops import _conv
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes
from smidgen.ops._paired import block_lead

Array = np.ndarray[Any, Any]
_DSP_WEIGHTS = 65535  # the most that an output's weights may sum up to, for 32-bit sums


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


# -- with DSP instructions ---------------------------------------------------------------------


def dsp_guard(site: Site) -> str | None:
    """Why no int16 kernel with DSP instructions can compute this site, or None."""
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = guard(site)
    if refusal is None:
        w = site.constant(1)
        largest = int(np.abs(w.reshape(w.shape[0], -1).astype(np.int64)).sum(1).max())
        if largest > _DSP_WEIGHTS:
            return f"weights of one output sum up to {largest}; {_DSP_WEIGHTS} is the limit"
    return refusal


def conv_dsp_guard(site: Site) -> str | None:
    """Why the convolution with DSP instructions cannot compute this site, or None."""
    if site.input(0).shape[3] != site.input(1).shape[3]:
        return "the convolution is grouped"
    return dsp_guard(site)


def depthwise_dsp_guard(site: Site) -> str | None:
    """Why the depthwise convolution with DSP instructions cannot compute this site, or None."""
    channels, w = site.input(0).shape[3], site.input(1).shape
    if channels != w[3] or channels % 4:
        return "no four channels each of which makes one output"
    if w[1] * w[2] > _DSP_WEIGHTS // 128:
        return f"a window of more than {_DSP_WEIGHTS // 128} positions"
    return guard(site) if "dsp" in site.features else "the core has no DSP instructions"


def with_words(fields: Mapping[str, Param]) -> Mapping[str, Param]:
    """A depthwise kernel's fields, the weights of four channels in the order 0, 2, 1, 3."""
    weights = fields["weights"]
    assert isinstance(weights, np.ndarray)
    words = weights.reshape(-1, 4)[:, [0, 2, 1, 3]]
    return {**fields, "weights": np.ascontiguousarray(words)}


def conv_dsp_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_conv_2d_int16_dsp_params`."""
    own = {"out_c": site.output.shape[3], "taps": _filled_taps(site)}
    return {**window_params(site, **own), "weights": _by_fours(site.constant(1), 2)}


def conv_dsp_scratch(site: Site) -> int:
    """Bytes of the windows of two pixels."""
    return 4 * _filled_taps(site)


def conv_dsp_overlap(site: Site) -> Mapping[int, int]:
    """Two pixels are read before they are written."""
    op, x = site.op, site.input(0)
    assert isinstance(op, _conv.Convolution)
    return {0: 2 * block_lead(op.window(site.input(1).shape), x, site.output, 2)}


def dense_dsp_params(sizes: Mapping[str, Param], site: Site) -> Mapping[str, Param]:
    """The fields of `sm_fully_connected_int16_dsp_params`, which begin with `sizes`."""
    weights = _by_fours(site.constant(1), 4)
    return {**sizes, "stride": _filled_taps(site), **params(site), "weights": weights}


def _filled_taps(site: Site) -> int:
    """Weights of an output, filled up to fours."""
    return -(-math.prod(site.input(1).shape[1:]) // 4) * 4


def _by_fours(weights: Array, block: int) -> Array:
    """Weights (outputs, ...) as `gemm_int16_dsp.h` reads them, `block` outputs at a time."""
    rows = weights.reshape(weights.shape[0], -1)
    filled = np.pad(rows, ((0, -rows.shape[0] % block), (0, -rows.shape[1] % 4)))
    fours = filled.reshape(-1, block, filled.shape[1] // 4, 4)[..., [0, 2, 1, 3]]
    return np.ascontiguousarray(fours.swapaxes(1, 2)).ravel()
