"""What TRANSPOSE_CONV's kernels take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ops import _conv, _int16
from smidgen.ops._kernel import Param, Site
from smidgen.ops._pack import (
    Channels,
    dsp_guard,
    in_pairs,
    one_factor,
    output_params,
    pairs_refusal,
)

if TYPE_CHECKING:
    from smidgen.ops.transpose_conv import TransposeConv


Array = np.ndarray[Any, Any]


def _sizes(site: Site) -> dict[str, Param]:
    op: TransposeConv = site.op  # type: ignore[assignment]
    x, w = site.input(0).shape, site.input(1).shape
    top, left = op.window(w).pad(op.image(w))
    return {
        "in_h": x[1],
        "in_w": x[2],
        "in_c": x[3],
        "out_h": op.output_height,
        "out_w": op.output_width,
        "out_c": w[0],
        "kernel_h": w[1],
        "kernel_w": w[2],
        "stride_h": op.stride_h,
        "stride_w": op.stride_w,
        "pad_h": top,
        "pad_w": left,
    }


def int8_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_int8_params`."""
    return {**_sizes(site), **_conv.int8_params(site)}


def float_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_float32_params`."""
    return {**_sizes(site), **_conv.float_params(site)}


def int16_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_int16_params`."""
    return {**_sizes(site), **_int16.params(site)}


def _phases(site: Site, weights: Array) -> list[Array]:
    """Weights (outputs, taps) that make the output pixels of each phase, in the kernel's order.

    A phase has every stride-th row and column of the window; the columns run backwards, so that
    the pixels that they are multiplied with lie in order.
    """
    op: TransposeConv = site.op  # type: ignore[assignment]
    w = weights.reshape(site.input(1).shape)
    return [
        w[:, ky :: op.stride_h, kx :: op.stride_w][:, :, ::-1].reshape(w.shape[0], -1)
        for ky in range(op.stride_h)
        for kx in range(op.stride_w)
    ]


def int8_dsp_guard(site: Site) -> str | None:
    """Why the DSP kernel cannot compute a site, or None."""
    refusal = dsp_guard(site)
    if refusal is not None:
        return refusal
    phases = [w for w in _phases(site, Channels.of(site).weights) if w.size]
    return next(filter(None, map(pairs_refusal, phases)), None)


def int8_dsp_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_int8_dsp_params`."""
    channels = Channels.of(site)
    phases = _phases(site, channels.weights)
    fill = -channels.weights.shape[0] % 4
    # The zero point of pixels that a phase does not see is part of the folded bias: take it out.
    total, zero_point = channels.weights.sum(1), site.quant(0).zero_point
    biases = [channels.bias + zero_point * (total - w.sum(1)) for w in phases]
    factors = np.stack([channels.multiplier, channels.shift])
    same = one_factor(channels)
    factors = factors[:, :1] if same else np.pad(factors, ((0, 0), (0, fill)), "edge")
    return {
        **_sizes(site),
        "padding": zero_point,
        "same_scale": int(same),
        **output_params(site),
        "multiplier": factors[0].astype(np.int32),
        "shift": factors[1].astype(np.int8),
        "doubled_bias": np.concatenate([np.pad(2 * b, (0, fill)) for b in biases]).astype(np.int32),
        "weights": np.concatenate([in_pairs(w) for w in phases if w.size]),
    }


def int8_dsp_scratch(site: Site) -> int:
    """Bytes of scratch of the DSP kernel: the largest phase's pixels."""
    return max(int(w.shape[1]) for w in _phases(site, site.constant(1)))
