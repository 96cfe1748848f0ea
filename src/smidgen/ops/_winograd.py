"""The Winograd kernel of CONV_2D: when it applies, its constants, what it does.

F(2 x 2, 3 x 3) with the weights' transformation doubled on both sides has integers throughout, and
four times the output: exact, at 16 int16 weights for 9 int8 ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from smidgen.ops import _conv_2d_paired, _paired
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

_TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
_SUM_LIMIT = 1 << 29  # four times a sum fits int32


def _guard(site: Site) -> str | None:
    refusal = _conv_2d_paired.dsp_guard(site)
    if refusal is not None:
        return refusal
    window = _conv_2d_paired.window_of(site)
    if window.kernel != (3, 3) or window.stride != (1, 1):
        return "the window is not 3 x 3, moving by one"
    if site.input(0).shape[3] % 16:
        return "channels are no multiple of 16"
    layer = _paired.layer(site)
    if (np.abs(layer.weights).sum(1) * 128 >= _SUM_LIMIT).any():
        return "a channel sums up to more than 29 bits"
    return layer.refusal()


def transform(weights: Array) -> Array:
    """(2G) g (2G)' of each window.

    Args:
        weights: int64 (channels, 3, 3, in_c).

    Returns:
        int64 (channels, 4, 4, in_c), at most 9 times as large.
    """
    transformed: Array = np.einsum("iy,oyxc,jx->oijc", _TWICE_G, weights, _TWICE_G)
    return transformed


def _params(site: Site) -> Mapping[str, Param]:
    x, out = site.input(0), site.output
    window = _conv_2d_paired.window_of(site).params(x, out)
    layer = _paired.layer(site)
    factors, line = layer.factors()
    channels, in_c = out.shape[3], x.shape[3]
    empty = -channels % 4
    low, high = layer.bounds
    shifts = np.zeros(channels, np.int64) if line else -layer.shift - 1
    factors = np.pad(np.column_stack([factors, shifts]), ((0, empty), (0, 0)))
    weights = transform(layer.weights.reshape(channels, 3, 3, in_c))
    padded = np.pad(weights, ((0, empty), (0, 0), (0, 0), (0, 0)))
    # (group, channel, position, fours, value / 2, value % 2) -> a word of values 0 and 2, 1 and 3
    w = padded.reshape(-1, 4, 16, in_c // 4, 2, 2)
    words = (w[..., 0, :] & 0xFFFF) | (w[..., 1, :] << 16)  # (group, channel, position, fours, 2)
    ordered = words.transpose(0, 2, 3, 4, 1).reshape(len(w), -1)
    stream = np.concatenate([ordered, factors.reshape(len(w), -1)], 1)
    return {
        **{key: window[key] for key in ("in_h", "in_w", "in_c", "out_h", "out_w")},
        "out_c": channels,
        "pad_h": window["pad_h"],
        "pad_w": window["pad_w"],
        "padding": site.quant(0).zero_point,
        "exact": int(not line),
        "half_point": 2 * layer.zero_point + 1,
        "clamp": int(low > -128 or high < 127),
        "act_min": low,
        "act_max": high,
        "stream": stream.astype(np.uint32).view(np.int32).reshape(-1),
    }


def _scratch(site: Site) -> int:
    in_c = site.input(0).shape[3]
    return 64 * in_c + max(512, 24 * in_c + 3)


def _overlap(site: Site) -> Mapping[int, int]:
    x = site.input(0).shape
    pad = _conv_2d_paired.window_of(site).pad(x)
    return {0: tile_lead(x, site.output.shape, pad)}


def tile_lead(x: tuple[int, ...], out: tuple[int, ...], pad: tuple[int, int]) -> int:
    """Safe overlap: two tiles are read, then 2 x 4 pixels are written, row of tiles by row.

    Args:
        x, out: shapes of the image and the result, (1, h, w, c).
        pad: padding (top, left).

    Returns:
        Lead bytes, see `Kernel.overlap`.
    """
    _, _, in_w, in_c = x
    _, out_h, out_w, out_c = out
    oy, ox = (a.ravel() for a in np.mgrid[0:out_h:2, 0:out_w:4])
    top, left = np.maximum(oy - pad[0], 0), np.maximum(ox - pad[1], 0)
    last_y, last_x = np.minimum(oy + 1, out_h - 1), np.minimum(ox + 3, out_w - 1)
    written = np.maximum.accumulate((last_y * out_w + last_x + 1) * out_c)
    read = (top * in_w + left) * in_c
    needed = np.minimum.accumulate(read[::-1])[::-1]
    return max(0, int((written[:-1] - needed[1:]).max(initial=0)))


def _work(site: Site) -> Mapping[str, float]:
    in_c = site.input(0).shape[3]
    _, out_h, out_w, out_c = site.output.shape
    tiles = -(-out_h // 2) * -(-out_w // 4)  # pairs of them
    groups = -(-out_c // 4)
    _, line = _paired.layer(site).factors()
    return {
        "tiles": tiles,
        "value": tiles * in_c,
        "line" if line else "exact": tiles * groups,
        "step": tiles * groups * in_c,
    }


def _probes() -> Iterator[Sample]:
    for point in (-128, 0):
        for size, in_c, out_c in (
            (20, 16, 16),
            (16, 32, 32),
            (8, 64, 64),
            (11, 48, 12),
            (24, 32, 8),
        ):
            yield _conv_2d_paired.probe((size, size, in_c), (out_c, 3, 3), point=point)


KERNEL = Kernel(
    "sm_conv_2d_int8_winograd",
    "conv_2d_int8_winograd.h",
    guard=_guard,
    params=_params,
    arguments=(0,),
    scratch=_scratch,
    overlap=_overlap,
    work=_work,
    probes=_probes,
)
