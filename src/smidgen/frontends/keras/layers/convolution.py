"""Convolutions: plain, depthwise and separable; one-dimensional ones as images of height 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.frontends.keras.layers.activation import activate
from smidgen.frontends.keras.site import LayerSite, layer
from smidgen.frontends.keras.spec import LayerSpec


def with_bias(*kernels: str) -> Callable[[LayerSpec], tuple[str, ...]]:
    """The roles of a layer with these kernels and, unless configured away, a bias."""

    def roles(spec: LayerSpec) -> tuple[str, ...]:
        return kernels if spec.config.get("use_bias") is False else (*kernels, "bias")

    return roles


@dataclass(frozen=True)
class _Window:
    """The sliding window of a layer, as an image's (height, width) whatever its dimensions."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    def attributes(self) -> dict[str, Any]:
        """The window as LiteRT spells it."""
        return {
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "padding": self.padding,
            "dilation_h_factor": self.dilation[0],
            "dilation_w_factor": self.dilation[1],
        }


def _start(site: LayerSite, dims: int) -> tuple[str, _Window]:
    """The operand as an image, and the window over it."""

    def pair(key: str, default: int | None) -> tuple[int, int]:
        values = site.integers(key, dims, default)
        return values if len(values) == 2 else (1, values[0])

    value = site.image(dims)
    causal = dims == 1 and site.get("padding") == "causal"
    window = _Window(
        pair("kernel_size", None),
        pair("strides", 1),
        pair("dilation_rate", 1),
        "VALID" if causal else site.padding(),
    )
    if dims == 1:
        batch, length, channels = site.shape(value)
        value = site.reshape(value, (batch, 1, length, channels), "image")
    if causal:
        before = window.dilation[1] * (window.kernel[1] - 1)
        paddings = ((0, 0), (0, 0), (before, 0), (0, 0))
        value = site.add("PAD", [value], "causal", paddings=paddings)
    return value, window


def _finish(site: LayerSite, value: str, dims: int) -> str:
    """The result without the extra axis, activated."""
    if dims == 1:
        batch, _, length, channels = site.shape(value)
        value = site.reshape(value, (batch, length, channels), "sequence")
    return activate(site, value)


def _bias(site: LayerSite, size: int) -> str | None:
    if not site.flag("use_bias", True):
        return None
    return site.constant("bias", lambda: site.weight("bias", (size,)))


def _convolve(site: LayerSite, dims: int) -> str:
    value, window = _start(site, dims)
    channels = site.shape(value)[3]
    filters, groups = site.integer("filters"), site.integer("groups", 1)
    if channels % groups or filters % groups:
        raise site.malformed(f"{channels} channels and {filters} filters in {groups} groups")
    stored = (*window.kernel[2 - dims :], channels // groups, filters)
    ohwi = (filters, *window.kernel, channels // groups)
    kernel = site.constant(
        "kernel", lambda: np.moveaxis(site.weight("kernel", stored), -1, 0).reshape(ohwi)
    )
    bias = _bias(site, filters)
    value = site.add("CONV_2D", [value, kernel, bias], **window.attributes())
    return _finish(site, value, dims)


def _depthwise(
    site: LayerSite, value: str, window: _Window, dims: int, bias: bool, suffix: str = ""
) -> str:
    channels, multiplier = site.shape(value)[3], site.integer("depth_multiplier", 1)
    # The kernel is called depthwise_kernel in Keras 2 and kernel in Keras 3; here by position.
    stored = (*window.kernel[2 - dims :], channels, multiplier)
    file_shape = (1, *window.kernel, channels * multiplier)
    kernel = site.constant(
        "depthwise_kernel", lambda: site.weight("depthwise_kernel", stored).reshape(file_shape)
    )
    return site.add(
        "DEPTHWISE_CONV_2D",
        [value, kernel, _bias(site, channels * multiplier) if bias else None],
        suffix,
        **window.attributes(),
    )


def _convolve_transposed(site: LayerSite, dims: int) -> str:
    value, window = _start(site, dims)
    if site.get("output_padding") is not None:
        raise site.refuse("it has an output_padding", hint="leave it out")
    if window.dilation != (1, 1):
        raise site.refuse("it is dilated", hint="use dilation_rate=1")
    filters, channels = site.integer("filters"), site.shape(value)[3]
    stored = (*window.kernel[2 - dims :], filters, channels)
    ohwi = (filters, *window.kernel, channels)
    kernel = site.constant(
        "kernel", lambda: np.moveaxis(site.weight("kernel", stored), -2, 0).reshape(ohwi)
    )
    height, width = (
        size * stride + (max(kernel - stride, 0) if window.padding == "VALID" else 0)
        for size, stride, kernel in zip(
            site.shape(value)[1:3], window.stride, window.kernel, strict=True
        )
    )
    value = site.add(
        "TRANSPOSE_CONV",
        [value, kernel, _bias(site, filters)],
        output_height=height,
        output_width=width,
        stride_h=window.stride[0],
        stride_w=window.stride[1],
        padding=window.padding,
    )
    return _finish(site, value, dims)


@layer("Conv2DTranspose", roles=with_bias("kernel"))
def conv_2d_transpose(site: LayerSite) -> str:
    """A transposed convolution."""
    return _convolve_transposed(site, 2)


@layer("Conv1DTranspose", roles=with_bias("kernel"))
def conv_1d_transpose(site: LayerSite) -> str:
    """A transposed convolution over a sequence, as an image of height 1."""
    return _convolve_transposed(site, 1)


def _convolve_depthwise(site: LayerSite, dims: int) -> str:
    # Keras 2 subclassed Conv2D and wrote its `groups`, which never meant anything here.
    value, window = _start(site, dims)
    return _finish(site, _depthwise(site, value, window, dims, bias=True), dims)


def _convolve_separable(site: LayerSite, dims: int) -> str:
    value, window = _start(site, dims)
    value = _depthwise(site, value, window, dims, bias=False, suffix="depthwise")
    channels, filters = site.shape(value)[3], site.integer("filters")
    stored = (*(1,) * dims, channels, filters)
    kernel = site.constant(
        "pointwise_kernel",
        lambda: site.weight("pointwise_kernel", stored).T.reshape(filters, 1, 1, channels),
    )
    value = site.add("CONV_2D", [value, kernel, _bias(site, filters)])
    return _finish(site, value, dims)


@layer("Conv2D", roles=with_bias("kernel"))
def conv_2d(site: LayerSite) -> str:
    """Kernel (h, w, ci / groups, co)."""
    return _convolve(site, 2)


@layer("Conv1D", roles=with_bias("kernel"))
def conv_1d(site: LayerSite) -> str:
    """Kernel (length, ci / groups, co)."""
    return _convolve(site, 1)


@layer("DepthwiseConv2D", roles=with_bias("depthwise_kernel"))
def depthwise_conv_2d(site: LayerSite) -> str:
    """Kernel (h, w, c, multiplier)."""
    return _convolve_depthwise(site, 2)


@layer("DepthwiseConv1D", roles=with_bias("depthwise_kernel"))
def depthwise_conv_1d(site: LayerSite) -> str:
    """Kernel (length, c, multiplier)."""
    return _convolve_depthwise(site, 1)


@layer("SeparableConv2D", roles=with_bias("depthwise_kernel", "pointwise_kernel"))
def separable_conv_2d(site: LayerSite) -> str:
    """Depthwise without bias or activation, then pointwise."""
    return _convolve_separable(site, 2)


@layer("SeparableConv1D", roles=with_bias("depthwise_kernel", "pointwise_kernel"))
def separable_conv_1d(site: LayerSite) -> str:
    """Depthwise without bias or activation, then pointwise."""
    return _convolve_separable(site, 1)


@layer("Dense", roles=with_bias("kernel"))
def dense(site: LayerSite) -> str:
    """Kernel (in, units), over the last axis; more than two axes become a 1x1 convolution."""
    value = site.input
    shape, units = site.shape(value), site.integer("units")
    if len(shape) < 2:
        raise site.malformed(f"its input has shape {shape}")
    stored = (shape[-1], units)
    bias = _bias(site, units)
    if len(shape) == 2:
        kernel = site.constant("kernel", lambda: site.weight("kernel", stored).T)
        return activate(site, site.add("FULLY_CONNECTED", [value, kernel, bias]))
    kernel = site.constant(
        "kernel_1x1", lambda: site.weight("kernel", stored).T.reshape(units, 1, 1, shape[-1])
    )
    rows = int(np.prod(shape[1:-2], dtype=object))
    value = site.reshape(value, (shape[0], rows, shape[-2], shape[-1]), "image")
    value = site.add("CONV_2D", [value, kernel, bias])
    return activate(site, site.reshape(value, (*shape[:-1], units), "sequence"))
