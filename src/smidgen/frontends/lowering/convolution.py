"""Convolutions of (n, c, h, w) images and (n, c, l) sequences, forwards and transposed."""

from __future__ import annotations

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.movement import pad_axes, slice_attributes
from smidgen.frontends.lowering.site import (
    Array,
    Lowering,
    Operand,
    Pairs,
    pair,
    pair_of_pairs,
)
from smidgen.ops._window import Window

MAX_KERNEL = 1 << 26  # elements: 256 MB


def conv(
    at: Lowering,
    x: Operand,
    weight: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, ...] = (1, 1),
    pads: Pairs = ((0, 0), (0, 0)),
    dilations: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> str:
    """Convolution, or cross-correlation as signal theory calls it.

    Args:
        at: where.
        x: (n, ci, h, w) or (n, ci, l).
        weight: (co, ci / groups, kh, kw) or (co, ci / groups, k).
        bias: (co,) or none.
        strides, dilations: one number for each spatial axis.
        pads: zeros before and after each spatial axis.
        groups: number of groups.

    Returns:
        (n, co, h', w') or (n, co, l').
    """
    rank = at.rank(x)
    if weight.ndim != rank:
        raise UnsupportedModelError(f"weights of shape {weight.shape} on an input of {rank} axes")
    (stride_h, stride_w), (dilation_h, dilation_w) = pair(strides, 1), pair(dilations, 1)
    image = pad_axes(at, at.image(x), ((0, 0), *pair_of_pairs(pads), (0, 0)))
    kernel = _as_image_kernel(weight)
    channels = at.shape(image)[3]
    if kernel.shape[1] * groups != channels or kernel.shape[0] % groups:
        raise UnsupportedModelError(
            f"weights of shape {weight.shape} in {groups} groups on {channels} channels"
        )
    attributes = {
        "stride_h": stride_h,
        "stride_w": stride_w,
        "padding": "VALID",
        "dilation_h_factor": dilation_h,
        "dilation_w_factor": dilation_w,
    }
    if groups == channels and groups > 1:
        y = at.add(
            "DEPTHWISE_CONV_2D",
            # (co, 1, kh, kw) to (1, kh, kw, co)
            [image, kernel.transpose(1, 2, 3, 0), bias],
            **attributes,
        )
    else:
        ohwi = kernel.transpose(0, 2, 3, 1)
        y = at.add("CONV_2D", [image, ohwi, bias], **attributes)
    return at.unimage(y, rank)


def _as_image_kernel(weight: Array) -> Array:
    return weight[:, :, None] if weight.ndim == 3 else weight


def conv_transpose(
    at: Lowering,
    x: Operand,
    weight: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, ...] = (1, 1),
    pads: Pairs = ((0, 0), (0, 0)),
    output_padding: tuple[int, ...] = (0, 0),
    dilations: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> str:
    """Transposed convolution: each input pixel adds a scaled kernel to the result.

    Groups become blocks of one dense kernel and dilations zeros in it, since LiteRT has neither.

    Args:
        at: where.
        x: (n, ci, h, w) or (n, ci, l).
        weight: (ci, co / groups, kh, kw) or (ci, co / groups, k).
        bias: (co,) or none.
        strides, dilations: one number for each spatial axis.
        pads: rows and columns taken off the result, before and after each spatial axis.
        output_padding: rows and columns added at the end of each spatial axis.
        groups: number of groups.

    Returns:
        (n, co, h', w') or (n, co, l').
    """
    rank = at.rank(x)
    if weight.ndim != rank:
        raise UnsupportedModelError(f"weights of shape {weight.shape} on an input of {rank} axes")
    image = at.image(x)
    kernel = _dilated(_ungrouped(_as_image_kernel(weight), groups), pair(dilations, 1))
    stride, extra, crop = pair(strides, 1), pair(output_padding, 0), pair_of_pairs(pads)
    n, *size, channels = at.shape(image)
    if kernel.shape[0] != channels:
        raise UnsupportedModelError(
            f"weights of shape {weight.shape} in {groups} groups on {channels} channels"
        )
    spatial = kernel.shape[2:]
    whole = [(s - 1) * d + k for s, d, k in zip(size, stride, spatial, strict=True)]
    begins = [before for before, _ in crop]
    outs = [w - sum(c) + e for w, c, e in zip(whole, crop, extra, strict=True)]
    same = Window((spatial[0], spatial[1]), stride, (1, 1), "SAME")
    image_of_same = (n, *outs, kernel.shape[1])
    if same.positions(image_of_same) == tuple(size) and same.pad(image_of_same) == tuple(begins):
        padding, made = "SAME", outs
    else:
        padding = "VALID"
        made = [max(w, b + o) for w, b, o in zip(whole, begins, outs, strict=True)]
    if any(m >= w + d for m, w, d in zip(made, whole, stride, strict=True)):
        raise UnsupportedModelError(
            f"its output_padding {extra} reaches beyond a stride of {stride}",
            hint="use an output_padding below the stride",
        )
    y = at.add(
        "TRANSPOSE_CONV",
        [image, kernel.transpose(1, 2, 3, 0), bias],
        output_height=made[0],
        output_width=made[1],
        stride_h=stride[0],
        stride_w=stride[1],
        padding=padding,
    )
    if padding == "VALID" and (any(begins) or made != outs):
        kept = [range(b, b + o) for b, o in zip(begins, outs, strict=True)]
        taken = [range(n), *kept, range(kernel.shape[1])]
        y = at.add("STRIDED_SLICE", [y], **slice_attributes(at.shape(y), taken))
    return at.unimage(y, rank)


def _ungrouped(kernel: Array, groups: int) -> Array:
    """(ci, co / groups, kh, kw) as (ci, co, kh, kw), zero where channels do not meet."""
    if groups == 1:
        return kernel
    inputs, outputs = kernel.shape[:2]
    _check_size(kernel.size * groups)
    dense = np.zeros((inputs, outputs * groups, *kernel.shape[2:]), kernel.dtype)
    each = inputs // groups
    for g in range(groups):
        block = slice(g * each, (g + 1) * each)
        dense[block, g * outputs : (g + 1) * outputs] = kernel[block]
    return dense


def _dilated(kernel: Array, dilation: tuple[int, int]) -> Array:
    """The kernel with zeros between its taps."""
    if dilation == (1, 1):
        return kernel
    size = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    _check_size(kernel.shape[0] * kernel.shape[1] * size[0] * size[1])
    spread = np.zeros((*kernel.shape[:2], *size), kernel.dtype)
    spread[:, :, :: dilation[0], :: dilation[1]] = kernel
    return spread


def _check_size(elements: int) -> None:
    if elements > MAX_KERNEL:
        raise UnsupportedModelError(
            f"its kernel would have {elements:,} elements without groups and dilation"
        )
