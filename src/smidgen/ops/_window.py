"""Arithmetic shared by the operators that slide a window over an image (convolutions, pools)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._kernel import Param, Site
from smidgen.ops._rows import RowWindow

Array = np.ndarray[Any, Any]
PADDINGS = ("SAME", "VALID")


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Positions of a window along one axis, as LiteRT counts them.

    Raises:
        ValueError: if the window does not fit or the padding is unknown.
    """
    if padding == "SAME":
        return -(-size // stride)
    if padding != "VALID":
        raise ValueError(f"padding {padding!r} is not one of {', '.join(PADDINGS)}")
    extent = (kernel - 1) * dilation + 1
    if extent > size:
        raise ValueError(f"a window of {extent} does not fit into {size} without padding")
    return (size - extent) // stride + 1


def pad_before(size: int, out: int, kernel: int, stride: int, dilation: int) -> int:
    """Padding before the first element (the smaller half when the total is odd)."""
    return pad_total(size, out, kernel, stride, dilation) // 2


def pad_total(size: int, out: int, kernel: int, stride: int, dilation: int) -> int:
    """Padding along one axis so that `out` windows fit."""
    extent = (kernel - 1) * dilation + 1
    return max(0, (out - 1) * stride + extent - size)


def pad_image(
    x: Array,
    out_hw: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    value: float,
) -> Array:
    """The image (n, h, w, c) with the border that `out_hw` windows need, filled with `value`."""
    pads = []
    for i in (0, 1):
        size = x.shape[1 + i]
        total = pad_total(size, out_hw[i], kernel[i], stride[i], dilation[i])
        before = total // 2
        pads.append((before, total - before))
    if not any(p for pair in pads for p in pair):
        return x
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


def taps(
    padded: Array,
    out_hw: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> list[tuple[int, int, Array]]:
    """For each position (ky, kx) of the window, the view (n, out_h, out_w, c) that it reads."""
    views = []
    for ky in range(kernel[0]):
        for kx in range(kernel[1]):
            y, x = ky * dilation[0], kx * dilation[1]
            rows = slice(y, y + (out_hw[0] - 1) * stride[0] + 1, stride[0])
            cols = slice(x, x + (out_hw[1] - 1) * stride[1] + 1, stride[1])
            views.append((ky, kx, padded[:, rows, cols, :]))
    return views


def window_lead(
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    stride: tuple[int, int],
    pad: tuple[int, int],
    itemsize: int,
    channelwise: bool = False,
) -> int:
    """Safe overlap of a kernel that computes output pixels in order, reading each window fully.

    Args:
        in_shape, out_shape: (1, h, w, c).
        stride: (h, w).
        pad: padding (top, left).
        itemsize: bytes of one element.
        channelwise: each channel, in order, is computed from that channel of the window alone.

    Returns:
        Lead bytes: with the output starting at least so far below the input, no byte is written
        that a later (or the same) pixel still reads. Source: diagonal memory optimization.
    """
    _, in_h, in_w, in_c = in_shape
    _, out_h, out_w, out_c = out_shape
    y = np.clip(np.arange(out_h) * stride[0] - pad[0], 0, in_h - 1)
    x = np.clip(np.arange(out_w) * stride[1] - pad[1], 0, in_w - 1)
    first = ((y[:, None] * in_w + x[None, :]) * in_c).ravel()
    needed = np.minimum.accumulate(first[::-1])[::-1]  # by this pixel or any later one
    written = np.arange(1, out_h * out_w + 1) * out_c
    if channelwise:  # a pixel's own window is used up from its first channel to its last
        written -= in_c
    return max(0, int((written - needed).max()) * itemsize)


@dataclass(frozen=True)
class Window:
    """A window that slides over the middle axes of an image (n, h, w, c).

    Args:
        kernel, stride, dilation: (h, w), each at least 1.
        padding: "SAME" or "VALID".
        top: rows of padding above the image; None if `padding` says it.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str
    top: int | None = None

    def __post_init__(self) -> None:
        if min(*self.kernel, *self.stride, *self.dilation) < 1:
            raise ValueError(
                f"kernel {self.kernel}, stride {self.stride} and dilation {self.dilation} "
                "must all be positive"
            )

    def positions(self, image: tuple[int, ...]) -> tuple[int, int]:
        """How many windows fit, (h, w).

        Raises:
            ValueError: if none fits or the padding is unknown.
        """
        h, w = (
            output_size(
                image[1 + i], self.kernel[i], self.stride[i], self.dilation[i], self.padding
            )
            for i in (0, 1)
        )
        return h, w

    def pad(self, image: tuple[int, ...]) -> tuple[int, int]:
        """Padding (top, left)."""
        out = self.positions(image)
        top, left = (
            pad_before(image[1 + i], out[i], self.kernel[i], self.stride[i], self.dilation[i])
            for i in (0, 1)
        )
        return (top if self.top is None else self.top), left

    def on(self, site: Site) -> Window:
        """The window on the images of a site, which may be some rows of larger ones."""
        return replace(self, top=site.pad_top)

    def taps(self, x: Array, border: float) -> list[tuple[int, int, Array]]:
        """`taps` of the image with its border filled in."""
        out = self.positions(x.shape)
        padded = pad_image(x, out, self.kernel, self.stride, self.dilation, border)
        return taps(padded, out, self.kernel, self.stride, self.dilation)

    def lead(self, x: TensorType, out: TensorType, *, channelwise: bool) -> int:
        """`window_lead` of a kernel that computes `out` from `x`."""
        itemsize, pad = x.bytes // x.size, self.pad(x.shape)
        return window_lead(x.shape, out.shape, self.stride, pad, itemsize, channelwise)

    def rows(self, image: tuple[int, ...]) -> RowWindow:
        """Which rows of the image each row of windows covers."""
        extent = (self.kernel[0] - 1) * self.dilation[0] + 1
        return RowWindow(extent, self.stride[0], self.pad(image)[0])

    def params(self, x: TensorType, out: TensorType) -> dict[str, Param]:
        """The fields that say where windows lie, of every kernel with a window."""
        top, left = self.pad(x.shape)
        fields: dict[str, Param] = {
            "in_h": x.shape[1],
            "in_w": x.shape[2],
            "in_c": x.shape[3],
            "out_h": out.shape[1],
            "out_w": out.shape[2],
            "kernel_h": self.kernel[0],
            "kernel_w": self.kernel[1],
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "dilation_h": self.dilation[0],
            "dilation_w": self.dilation[1],
            "pad_h": top,
            "pad_w": left,
        }
        return fields
