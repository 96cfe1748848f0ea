"""What the int8 kernels for cores without SIMD take (kernels/lanes.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.numerics.short_line import MAX_SUM, ShortLines, find_short_lines
from smidgen.ops import _conv
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._pack import Channels
from smidgen.ops._paired import block_lead

Array = np.ndarray[Any, Any]

_BLOCK = 4  # pixels at a time


def refusal(site: Site) -> str | None:
    """Why the kernels on lanes cannot compute this site, whatever its window, or None."""
    if "host" in site.features:
        return "the host computes many values at a time"
    int4 = site.input(1).dtype == "int4"
    reason = _conv.int4_guard(site) if int4 else _conv.int8_guard(site)
    if reason is not None:
        return reason
    channels = Channels.of(site)
    if (np.abs(channels.weights).sum(1) * 128 >= MAX_SUM).any():
        return "a channel's weights sum up to more than 24 bits"
    if (np.abs(channels.bounds()) >= 1 << 31).any():
        return "a channel's sums leave 32 bits"
    return None


def int8_refusal(site: Site) -> str | None:
    """`refusal`, and of int4 weights, which only convolutions unpack."""
    return _conv.int8_guard(site) or refusal(site)


@dataclass(frozen=True)
class _Outputs:
    """How a layer's sums become outputs.

    Args:
        lines: a line for each channel, or None where they are rounded twice.
        channels: the layer's constants.
        fixed: offset, limits and the lines' shift, as every kernel has them.
    """

    lines: ShortLines | None
    channels: Channels
    fixed: Mapping[str, Param]

    @classmethod
    def of(cls, site: Site) -> _Outputs:
        assert isinstance(site.op, _conv.Weighted)
        channels = Channels.of(site)
        zero_point = site.quant(-1).zero_point
        bounds = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
        low, high = (end - channels.bias for end in channels.bounds())
        lines = find_short_lines(
            channels.multiplier, -channels.shift, channels.bias, low, high, zero_point, bounds
        )
        fixed: dict[str, Param] = {
            "output_offset": zero_point,
            "act_min": bounds[0],
            "act_max": bounds[1],
            "shift": 0 if lines is None else lines.shift,
        }
        return cls(lines, channels, fixed)

    def params(self) -> dict[str, Param]:
        """The fields of kernels that have a line for each channel."""
        if self.lines is not None:
            pairs = np.stack([self.lines.multiplier, self.lines.addend], 1)
            none: dict[str, Param] = {"multiplier": None, "bias": None, "shifts": None}
            return {**self.fixed, "lines": pairs, **none}
        return {
            **self.fixed,
            "lines": None,
            "multiplier": self.channels.multiplier.astype(np.int32),
            "bias": self.channels.bias.astype(np.int32),
            "shifts": (-self.channels.shift).astype(np.int8),
        }


def conv_guard(site: Site) -> str | None:
    """Why the convolutions on lanes, int8 or int4, cannot compute this site, or None."""
    if site.input(0).shape[3] != site.input(1).shape[3]:
        return "the convolution is grouped"
    return refusal(site)


def conv_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_conv_2d_int8_lanes_params`."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, _conv.Convolution)
    window = op.window(w.shape).on(site).params(x, site.output)
    _, out_h, out_w, out_c = site.output.shape
    weights = Channels.of(site).weights
    return {
        **{key: window[key] for key in ("in_h", "in_w", "in_c", "out_w")},
        "pixels": out_h * out_w,
        **{
            f"{key}_{axis}": window[f"{key}_{axis}"]
            for key in ("kernel", "stride", "dilation", "pad")
            for axis in "hw"
        },
        "depth": _depth(site),
        "out_c": out_c,
        "padding": site.quant(0).zero_point,
        **_Outputs.of(site).params(),
        "weights": None if w.dtype == "int4" else bytes_from_zero(weights),
        "packed": _packed(weights) if w.dtype == "int4" else None,
    }


def _packed(weights: Array) -> Array:
    """int4 weights (channels, depth) as `sm_conv_2d_int4_lanes` reads them, uint32 words."""
    parts = []
    for i in range(0, len(weights), 2):
        two = weights[i : i + 2].reshape(-1) + 8
        eights = np.pad(two, (0, -len(two) % 8)).reshape(-1, 2, 4)
        bytes = eights[:, 0] | eights[:, 1] << 4
        parts.append((bytes << np.array([0, 8, 16, 24])).sum(1))
    return np.concatenate(parts).astype(np.uint32)


def bytes_from_zero(weights: Array) -> Array:
    """Weights of any shape with 128 added, uint8 (-1,)."""
    raised: Array = (weights.reshape(-1) + 128).astype(np.uint8)
    return raised


def _depth(site: Site) -> int:
    return int(np.prod(site.input(1).shape[1:]))


def conv_scratch(site: Site) -> int:
    """Bytes of scratch of the convolution on lanes."""
    depth, in_c = _depth(site), site.input(0).shape[3]
    if site.input(1).dtype == "int4":
        return 12 * depth + -(-in_c // 4) * 4 + -(-depth // 4) * 8
    return 12 * depth + in_c


def conv_overlap(site: Site) -> Mapping[int, int]:
    """Safe overlap of the convolution on lanes."""
    op, x = site.op, site.input(0)
    assert isinstance(op, _conv.Convolution)
    return {0: block_lead(op.window(site.input(1).shape), x, site.output, _BLOCK)}


def depthwise_guard(site: Site) -> str | None:
    """Why the depthwise convolution on lanes cannot compute this site, or None."""
    op = site.op
    assert isinstance(op, _conv.Convolution)
    if op.dilation_w_factor > 1 and site.input(1).shape[2] > 1:
        return "the window's rows are dilated"
    return int8_refusal(site)


def depthwise_overhead(site: Site) -> float:
    """Estimated cycles of the rows that fill up the last four of a call, and of the call itself."""
    op, rows = site.op, site.output.shape[1]
    return 150 + 5 * op.macs(*site.inputs) / rows * (-rows % _BLOCK)


def in_place_guard(site: Site) -> str | None:
    """`depthwise_guard` where moreover the output may replace the input."""
    op, x = site.op, site.input(0)
    assert isinstance(op, _conv.Convolution)
    if x.shape != site.output.shape or (op.stride_h, op.stride_w) != (1, 1):
        return "the output has not the input's shape"
    if op.window(site.input(1).shape).pad(x.shape)[0] > _BLOCK:
        return "more than four rows of padding are above the image"
    return depthwise_guard(site)


def in_place_params(site: Site) -> Mapping[str, Param]:
    """`depthwise_params` of the kernel that computes one channel after the other."""
    return {**depthwise_params(site), "by_channel": 1}


def in_place_scratch(site: Site) -> int:
    """Bytes of scratch of the kernel that computes one channel after the other."""
    _, kernel_h, kernel_w, _ = site.input(1).shape
    return 24 * _columns(site) * kernel_h + 4 * kernel_h * kernel_w


def depthwise_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_depthwise_conv_2d_int8_lanes_params`."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, _conv.Convolution)
    window = op.window(w.shape).on(site).params(x, site.output)
    _, kernel_h, kernel_w, out_c = w.shape
    weights = Channels.of(site).weights.reshape(out_c, kernel_h, kernel_w)
    del window["dilation_w"]
    return {
        **window,
        "depth_multiplier": out_c // x.shape[3],
        "columns": _columns(site),
        "by_channel": 0,
        "padding": site.quant(0).zero_point,
        **_Outputs.of(site).params(),
        "weights": weights.swapaxes(1, 2).astype(np.int8),
    }


def _columns(site: Site) -> int:
    op, w = site.op, site.input(1)
    assert isinstance(op, _conv.Convolution)
    return (site.output.shape[2] - 1) * op.stride_w + w.shape[2]


def depthwise_scratch(site: Site) -> int:
    """Bytes of scratch of the depthwise convolution on lanes."""
    _, kernel_h, kernel_w, _ = site.input(1).shape
    return 12 * _columns(site) * kernel_h + 4 * kernel_h * kernel_w


def depthwise_overlap(site: Site) -> Mapping[int, int]:
    """Safe overlap: the rows of a block are written while its other channels are unread."""
    op, x, out = site.op, site.input(0), site.output
    assert isinstance(op, _conv.Convolution)
    top, _ = op.window(site.input(1).shape).pad(x.shape)
    first = np.arange(0, out.shape[1], _BLOCK)
    needed = np.maximum(first * op.stride_h - top, 0) * x.shape[2] * x.shape[3]
    last = np.minimum(first + _BLOCK, out.shape[1])
    return {0: max(0, int((last * out.shape[2] * out.shape[3] - needed).max()))}


def fully_connected_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_fully_connected_int8_lanes_params`."""
    out_c, in_c = site.input(1).shape
    outputs = _Outputs.of(site)
    channels, lines = outputs.channels, outputs.lines
    multiplier = (channels if lines is None else lines).multiplier
    shifts = np.zeros_like(multiplier) if lines is not None else -channels.shift
    one = len(set(zip(multiplier.tolist(), shifts.tolist(), strict=True))) == 1
    stated = slice(1) if one else slice(None)
    raised = np.pad(channels.weights + 128, ((0, -out_c % 4), (0, 0)))
    fours = raised.reshape(-1, 4, in_c) << np.array([0, 8, 16, 24])[:, None]
    return {
        "rows": site.input(0).size // in_c,
        "in_c": in_c,
        "out_c": out_c,
        "scale_step": 0 if one else 1,
        **outputs.fixed,
        "multiplier": multiplier[stated].astype(np.int32),
        "addend": (channels.bias if lines is None else lines.addend).astype(np.int32),
        "shifts": shifts[stated].astype(np.int8) if lines is None else None,
        "weights": fours.sum(1).astype(np.uint32),
    }
