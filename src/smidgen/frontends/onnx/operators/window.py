"""Convolutions and pooling: operators that slide a window over an image or a sequence."""

from __future__ import annotations

import math

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.lowering import Pairs
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import MAX_ELEMENTS, Array


def spatial(site: NodeSite, x: Operand) -> tuple[int, ...]:
    """The sizes of an image or sequence; 3-D ones are refused."""
    shape = site.shape(x)
    if len(shape) not in (3, 4):
        raise site.refuse(
            f"its input has the shape {shape}, of {len(shape) - 2} spatial dimensions",
            hint="one and two are supported: images (n, c, h, w) and sequences (n, c, length)",
        )
    return shape[2:]


def sizes(site: NodeSite, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """An attribute with one positive number for each spatial dimension."""
    values = site.integers(name, (default,) * count)
    if len(values) != count or any(not 0 < v < 1 << 24 for v in values):
        raise site.malformed(f"its {name} are {values} for {count} dimensions")
    return values


def padding(
    site: NodeSite, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Pairs:
    """Zeros before and after each spatial dimension; `kernel` counts dilation."""
    mode = site.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return ((0, 0),) * len(size)
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        same = []
        for n, k, s in zip(size, kernel, stride, strict=True):
            total = max(0, (-(-n // s) - 1) * s + k - n)
            less, more = total // 2, total - total // 2
            same.append((less, more) if mode == "SAME_UPPER" else (more, less))
        return tuple(same)
    if mode not in ("NOTSET", ""):
        raise site.malformed(f"its auto_pad is {mode!r}")
    flat = site.integers("pads", (0,) * 2 * len(size))
    if len(flat) != 2 * len(size) or any(not 0 <= p < 1 << 24 for p in flat):
        raise site.malformed(f"its pads are {flat}")
    pads = tuple(zip(flat[: len(size)], flat[len(size) :], strict=True))
    if math.prod(n + sum(p) for n, p in zip(size, pads, strict=True)) > MAX_ELEMENTS:
        raise site.malformed(f"its pads are {flat}")
    return pads


def _reach(kernel: tuple[int, ...], dilations: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))


@operator("Conv")
def conv(site: NodeSite) -> Operand:
    """Convolution with constant weights (co, ci / groups, ...)."""
    return convolve(site, site.x, site.floats(1, "weights"), bias_of(site, 2))


def bias_of(site: NodeSite, place: int) -> Array | None:
    """A constant bias, if there is one."""
    return site.floats(place, "bias") if site.has(place) else None


def convolve(site: NodeSite, x: Operand, weight: Array, bias: Array | None) -> str:
    """A convolution as the node's attributes say, of given operands."""
    size = spatial(site, x)
    if weight.ndim != len(size) + 2:
        raise site.malformed(f"weights of shape {weight.shape} on an input {site.shape(x)}")
    dilations, strides = sizes(site, "dilations", len(size)), sizes(site, "strides", len(size))
    kernel = _reach(weight.shape[2:], dilations)
    return lower.conv(
        site.at,
        x,
        weight,
        bias,
        strides=strides,
        pads=padding(site, size, kernel, strides),
        dilations=dilations,
        groups=site.integer("group", 1),
    )


@operator("ConvTranspose")
def conv_transpose(site: NodeSite) -> Operand:
    """Transposed convolution with constant weights (ci, co / groups, ...)."""
    x, weight = site.x, site.floats(1, "weights")
    size = spatial(site, x)
    count = len(size)
    if weight.ndim != count + 2:
        raise site.malformed(f"weights of shape {weight.shape} on an input {site.shape(x)}")
    strides, dilations = sizes(site, "strides", count), sizes(site, "dilations", count)
    extra = site.integers("output_padding", (0,) * count)
    kernel = _reach(weight.shape[2:], dilations)
    groups = site.integer("group", 1)
    if groups < 1 or weight.shape[0] % groups:
        raise site.malformed(f"weights of shape {weight.shape} in {groups} groups")
    site.reserve((weight.shape[0], weight.shape[1], groups, *kernel))  # as one dense kernel
    whole = tuple((n - 1) * s + k for n, s, k in zip(size, strides, kernel, strict=True))
    wanted = site.attributes.get("output_shape")
    mode = site.text("auto_pad", "NOTSET")
    if wanted is None and mode.startswith("SAME"):
        wanted = [n * s for n, s in zip(size, strides, strict=True)]
    if wanted is not None:
        pads = []
        for full, e, want in zip(whole, extra, list(wanted)[-count:], strict=True):
            total = full + e - int(want)
            less, more = total // 2, total - total // 2
            pads.append((more, less) if mode == "SAME_LOWER" else (less, more))
        if any(p < 0 for pair in pads for p in pair):
            extra = tuple(e + max(0, -a - b) for e, (a, b) in zip(extra, pads, strict=True))
            pads = [(0, 0) if a + b < 0 else (a, b) for a, b in pads]
    else:
        pads = list(padding(site, size, kernel, strides))
    return lower.conv_transpose(
        site.at,
        x,
        weight,
        bias_of(site, 2),
        strides=strides,
        pads=tuple(pads),
        output_padding=extra,
        dilations=dilations,
        groups=groups,
    )


@operator("MaxPool")
def max_pool(site: NodeSite) -> list[Operand | None]:
    """The largest element of each window; the second output, its position, is not available."""
    x = site.x
    size = spatial(site, x)
    kernel, strides = sizes(site, "kernel_shape", len(size)), sizes(site, "strides", len(size))
    dilations = sizes(site, "dilations", len(size))
    pads = padding(site, size, _reach(kernel, dilations), strides)
    y = lower.max_pool(
        site.at,
        x,
        kernel,
        strides=strides,
        pads=pads,
        dilations=dilations,
        ceil_mode=site.flag("ceil_mode"),
    )
    return [y, None]


@operator("AveragePool")
def average_pool(site: NodeSite) -> Operand:
    """The mean of each window."""
    x = site.x
    size = spatial(site, x)
    kernel, strides = sizes(site, "kernel_shape", len(size)), sizes(site, "strides", len(size))
    if set(site.integers("dilations", (1,))) != {1}:
        raise site.refuse("its window is dilated", hint="use dilations of 1")
    return lower.average_pool(
        site.at,
        x,
        kernel,
        strides=strides,
        pads=padding(site, size, kernel, strides),
        ceil_mode=site.flag("ceil_mode"),
        count_include_pad=site.flag("count_include_pad"),
    )


def _over_pixels(site: NodeSite, op: str) -> Operand:
    x = site.x
    rank = len(site.shape(x))
    if rank < 3:
        raise site.malformed(f"its input has the shape {site.shape(x)}")
    return lower.reduce(site.at, op, x, range(2, rank), keep_dims=True)


@operator("GlobalAveragePool")
def global_average_pool(site: NodeSite) -> Operand:
    """The mean of each channel."""
    return _over_pixels(site, "MEAN")


@operator("GlobalMaxPool")
def global_max_pool(site: NodeSite) -> Operand:
    """The largest element of each channel."""
    return _over_pixels(site, "REDUCE_MAX")


@operator("LpPool")
def lp_pool(site: NodeSite) -> Operand:
    """The Euclidean norm (p=2), or the sum of magnitudes (p=1), of each window."""
    at, x, p = site.at, site.x, site.integer("p", 2)
    size = spatial(site, x)
    kernel, strides = sizes(site, "kernel_shape", len(size)), sizes(site, "strides", len(size))
    if p not in (1, 2) or set(site.integers("dilations", (1,))) != {1}:
        raise site.refuse("its norm or its dilation is unusual", hint="use p=1 or 2, no dilation")
    terms = lower.multiply(at, x, x) if p == 2 else lower.unary(at, "ABS", x)
    means = lower.average_pool(
        at,
        terms,
        kernel,
        strides=strides,
        pads=padding(site, size, kernel, strides),
        ceil_mode=site.flag("ceil_mode"),
        divisor=1,
    )
    return lower.unary(at, "SQRT", means) if p == 2 else means


@operator("GlobalLpPool")
def global_lp_pool(site: NodeSite) -> Operand:
    """The Euclidean norm (p=2), or the sum of magnitudes (p=1), of each channel."""
    at, x, p = site.at, site.x, site.integer("p", 2)
    if p not in (1, 2):
        raise site.refuse(f"its norm is {p}", hint="use p=1 or 2")
    terms = lower.multiply(at, x, x) if p == 2 else lower.unary(at, "ABS", x)
    total = lower.reduce(at, "SUM", terms, range(2, len(site.shape(x))), keep_dims=True)
    return lower.unary(at, "SQRT", total) if p == 2 else total


@operator("LRN")
def lrn(site: NodeSite) -> Operand:
    """Divided by a power of the mean square of neighbouring channels."""
    at, x = site.at, site.x
    size, rank = site.integer("size"), len(site.shape(x))
    alpha, beta = site.real("alpha", 1e-4), site.real("beta", 0.75)
    bias, channels = site.real("bias", 1.0), site.shape(x)[1]
    if not 0 < size < 1 << 16 or rank < 2:
        raise site.malformed(f"its size is {size} for an input of {site.shape(x)}")
    squares = lower.multiply(at, x, x)
    # The sum over a window of channels is a product with a matrix that has ones near its diagonal.
    site.reserve((channels, channels), 32)
    distance = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    near = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    moved, back = lower.move_axis_last(at, squares, 1)
    total: Operand = lower.linear(at, moved, (near * (alpha / size)).astype(np.float32))
    total = total if back is None else lower.transpose(at, total, back)
    raised = lower.power(at, lower.add(at, total, at.scalar(bias)), np.array([-beta], np.float32))
    return lower.multiply(at, x, raised)
