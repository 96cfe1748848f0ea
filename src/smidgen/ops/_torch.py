"""What operators share on torch tensors (`torch_lower`): clamps and windows, channels last.

Torch's image functions take (n, c, h, w). A permuted view of a channels-last tensor is what torch
calls channels_last memory, which its convolutions run on as they are: no element is moved.
"""

from __future__ import annotations

from typing import Any

from smidgen.ops._activation import BOUNDS
from smidgen.ops._window import Window, pad_total


def activation(y: Any, name: str) -> Any:
    """Apply a fused activation, by its LiteRT name, to a tensor."""
    import torch

    if name == "NONE":
        return y
    if name == "RELU":
        return torch.relu(y)
    return torch.clamp(y, *BOUNDS[name])


def channels_first(x: Any) -> Any:
    """View (n, h, w, c) as (n, c, h, w)."""
    return x.permute(0, 3, 1, 2)


def channels_last(y: Any) -> Any:
    """View (n, c, h, w) as (n, h, w, c)."""
    return y.permute(0, 2, 3, 1)


def border(x: Any, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding ((top, bottom), (left, right)) of images (n, h, w, c) under a window."""
    shape = tuple(x.shape)
    out = window.positions(shape)
    pairs = []
    for i in (0, 1):
        total = pad_total(
            shape[1 + i], out[i], window.kernel[i], window.stride[i], window.dilation[i]
        )
        pairs.append((total // 2, total - total // 2))
    return pairs[0], pairs[1]


def with_border(x: Any, pads: tuple[tuple[int, int], tuple[int, int]], value: float) -> Any:
    """Images (n, c, h, w) with a border of `value`."""
    from torch.nn import functional

    (top, bottom), (left, right) = pads
    return functional.pad(x, (left, right, top, bottom), value=value)


def convolve(x: Any, weights: Any, bias: Any, window: Window, groups: int) -> Any:
    """Convolve (n, h, w, c) with weights (out, in / groups, kh, kw) to (n, oh, ow, out)."""
    from torch.nn import functional

    pads = border(x, window)
    x = channels_first(x)
    if all(before == after for before, after in pads):
        padding = (pads[0][0], pads[1][0])
    else:
        x, padding = with_border(x, pads, 0.0), (0, 0)
    x, weights = plain(x), plain(weights)
    y = functional.conv2d(x, weights, bias, window.stride, padding, window.dilation, groups)
    return channels_last(y)


def plain(x: Any) -> Any:
    """(n, 1, h, w) with the strides of one that was made so; others as they are.

    A permuted view of one channel has an odd stride there, and oneDNN, which torch calls, computes
    wrong convolutions of some such views (seen in torch 2.13).
    """
    return x.squeeze(1).unsqueeze(1) if x.shape[1] == 1 else x
