"""What the int8 kernels for the machine that compiles take (kernels/host.h)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.ops import _conv
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._pack import Channels
from smidgen.ops._paired import block_lead

Array = np.ndarray[Any, Any]

_CHANNELS = 16
_PIXELS = 4


def _refusal(site: Site) -> str | None:
    if "host" not in site.features:
        return "it is for the machine that compiles"
    reason = _conv.int8_guard(site)
    if reason is not None:
        return reason
    channels = Channels.of(site)
    if (np.abs(channels.bounds()) >= 1 << 31).any():
        return "a channel's sums leave 32 bits"
    if channels.shift.min() < 1 or channels.shift.max() > 31:
        return "a channel's shift is not 1 to 31"
    return None


def conv_guard(site: Site) -> str | None:
    """Why the host's convolution cannot compute this site, or None."""
    if site.input(0).shape[3] != site.input(1).shape[3]:
        return "the convolution is grouped"
    return _refusal(site)


def depthwise_guard(site: Site) -> str | None:
    """Why the host's depthwise convolution cannot compute this site, or None."""
    if site.input(0).shape[3] != site.input(1).shape[3]:
        return "an input channel makes several outputs"
    return _refusal(site)


def _filled(array: Array, axis: int = 0) -> Array:
    """Filled up to blocks of channels with zeros."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, -array.shape[axis] % _CHANNELS)
    return np.pad(array, widths)


def _outputs(site: Site, bias: Array) -> dict[str, Param]:
    op = site.op
    assert isinstance(op, _conv.Weighted)
    channels = Channels.of(site)
    low, high = int_bounds(op.fused_activation_function, site.quant(-1), "int8")
    return {
        "output_offset": site.quant(-1).zero_point,
        "act_min": low,
        "act_max": high,
        "bias": _filled(bias).astype(np.int32),
        "multiplier": _filled(channels.multiplier).astype(np.int32),
        "halvings": _filled(channels.shift - 1).astype(np.int32),
    }


def _pairs(site: Site) -> int:
    return -(-int(np.prod(site.input(1).shape[1:])) // 2)


def conv_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_conv_2d_int8_host_params`."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, _conv.Convolution)
    window = op.window(w.shape).on(site).params(x, site.output)
    _, out_h, out_w, out_c = site.output.shape
    channels = Channels.of(site)
    pairs = _pairs(site)
    depth = channels.weights.shape[1]
    weights = np.pad(_filled(channels.weights), ((0, 0), (0, 2 * pairs - depth)))
    blocks = weights.reshape(-1, _CHANNELS, pairs, 2).swapaxes(1, 2)
    del window["out_h"]
    return {
        **window,
        "pixels": out_h * out_w,
        "pairs": pairs,
        "out_c": out_c,
        "padding": site.quant(0).zero_point,
        **_outputs(site, channels.bias),
        "weights": blocks.astype(np.int16),
    }


def conv_scratch(site: Site) -> int:
    """Bytes of scratch of the host's convolution."""
    return 4 * _PIXELS * _pairs(site)


def conv_overlap(site: Site) -> Mapping[int, int]:
    """Safe overlap of the host's convolution."""
    op, x = site.op, site.input(0)
    assert isinstance(op, _conv.Convolution)
    return {0: block_lead(op.window(site.input(1).shape), x, site.output, _PIXELS)}


def depthwise_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_depthwise_conv_2d_int8_host_params`."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, _conv.Convolution)
    channels = Channels.of(site)
    zero_point = site.quant(0).zero_point
    blocks = _filled(channels.weights).reshape(-1, _CHANNELS, w.shape[1] * w.shape[2])
    return {
        **op.window(w.shape).on(site).params(x, site.output),
        "input_offset": -zero_point,
        # Padding adds nothing here, so that the zero point stays with the values.
        **_outputs(site, channels.bias + zero_point * channels.weights.sum(1)),
        "weights": blocks.swapaxes(1, 2).astype(np.int16),
    }
