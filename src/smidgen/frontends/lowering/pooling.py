"""Pooling of (n, c, h, w) images and (n, c, l) sequences."""

from __future__ import annotations

import itertools
import math

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.movement import mirror_axes, pad_axes, slice_axis
from smidgen.frontends.lowering.site import (
    Array,
    Lowering,
    Operand,
    Pairs,
    pair,
    pair_of_pairs,
)
from smidgen.ops._window import Window

LOWEST = float(np.finfo(np.float32).min)
NEVER_NEGATIVE = ("RELU", "RELU6", "LOGISTIC", "SOFTMAX", "ABS", "EXP")


def _outputs(
    size: int, kernel: int, stride: int, pads: tuple[int, int], ceil_mode: bool
) -> tuple[int, int]:
    """Number of windows, and by how much the last one reaches beyond the padded end."""
    whole = size + sum(pads)
    if (kernel > whole and not ceil_mode) or kernel < 1:
        raise UnsupportedModelError(f"a window of {kernel} on {whole} positions, padding included")
    count = (whole - kernel) / stride + 1
    windows = math.ceil(count) if ceil_mode else math.floor(count)
    if ceil_mode and (windows - 1) * stride >= size + pads[0]:
        windows -= 1  # a window starts in the image or in front of it
    return windows, max(0, (windows - 1) * stride + kernel - whole)


class _Pooling:
    """A window over an image, whatever the source's number of dimensions."""

    def __init__(
        self,
        at: Lowering,
        x: Operand,
        kernel: tuple[int, ...],
        strides: tuple[int, ...],
        pads: Pairs,
        ceil_mode: bool,
    ) -> None:
        self.at = at
        self.rank = at.rank(x)
        self.zero_is_lowest = at.made_by.get(at.value(x)) in NEVER_NEGATIVE
        self.image = at.image(x)
        self.kernel, self.strides = pair(kernel, 1), pair(strides, 1)
        self.pads = pair_of_pairs(pads)
        spatial = at.shape(self.image)[1:3]
        places = [
            _outputs(*of_axis, ceil_mode)
            for of_axis in zip(spatial, self.kernel, self.strides, self.pads, strict=True)
        ]
        self.windows = tuple(count for count, _ in places)
        # Padding up to the end of the last window.
        self.reach: Pairs = tuple(
            (before, after + beyond)
            for (before, after), (_, beyond) in zip(self.pads, places, strict=True)
        )

    @property
    def same(self) -> bool:
        """Whether LiteRT's SAME puts the windows where they are."""
        window = Window(self.kernel, self.strides, (1, 1), "SAME")
        shape = self.at.shape(self.image)
        before = tuple(pad for pad, _ in self.pads)
        return window.positions(shape) == self.windows and window.pad(shape) == before

    def bordered(self) -> str:
        """The image with a border that is never the largest of a window.

        Zeros are cheapest. Where there may be less, the edge's mirror image is as good while a
        window holds what is mirrored, and unlike a very low number it leaves a quantized image
        its scale.
        """
        pads = ((0, 0), *self.reach, (0, 0))
        if self.zero_is_lowest:
            return pad_axes(self.at, self.image, pads)
        sizes = self.at.shape(self.image)[1:3]
        if all(
            max(pad) <= min(kernel // 2, size)
            for pad, kernel, size in zip(self.reach, self.kernel, sizes, strict=True)
        ):
            return mirror_axes(self.at, self.image, pads, "SYMMETRIC")
        return pad_axes(self.at, self.image, pads, LOWEST)

    def windowed(self, op: str, image: str, padding: str) -> str:
        """The operator over an image."""
        return self.at.add(
            op,
            [image],
            filter_height=self.kernel[0],
            filter_width=self.kernel[1],
            stride_h=self.strides[0],
            stride_w=self.strides[1],
            padding=padding,
        )

    def counted(self, include_pad: bool) -> Array:
        """How many elements each window counts, (h', w')."""
        counts = []
        spatial = self.at.shape(self.image)[1:3]
        for axis, (size, windows) in enumerate(zip(spatial, self.windows, strict=True)):
            before, after = self.pads[axis]
            low, high = (-before, size + after) if include_pad else (0, size)
            starts = np.arange(windows) * self.strides[axis] - before
            ends = np.minimum(starts + self.kernel[axis], high)
            counts.append(np.maximum(ends - np.maximum(starts, low), 1))
        rows, cols = counts
        area: Array = np.multiply.outer(rows, cols).astype(np.float64)
        return area


def max_pool(
    at: Lowering,
    x: Operand,
    kernel: tuple[int, ...],
    *,
    strides: tuple[int, ...],
    pads: Pairs = ((0, 0), (0, 0)),
    dilations: tuple[int, ...] = (1, 1),
    ceil_mode: bool = False,
) -> str:
    """The largest element of each window; the border takes no part.

    Args:
        at: where.
        x: (n, c, h, w) or (n, c, l).
        kernel, strides, dilations: one number for each spatial axis.
        pads: border before and after each spatial axis.
        ceil_mode: whether a last window may reach beyond the border.
    """
    if set(dilations) != {1}:
        raise UnsupportedModelError(
            f"max pooling with dilation {dilations}", hint="use dilation 1, or a slice before it"
        )
    pooling = _Pooling(at, x, kernel, strides, pads, ceil_mode)
    if pooling.same:
        y = pooling.windowed("MAX_POOL_2D", pooling.image, "SAME")
    else:
        y = pooling.windowed("MAX_POOL_2D", pooling.bordered(), "VALID")
    return at.unimage(y, pooling.rank)


def average_pool(
    at: Lowering,
    x: Operand,
    kernel: tuple[int, ...],
    *,
    strides: tuple[int, ...],
    pads: Pairs = ((0, 0), (0, 0)),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> str:
    """The mean of each window.

    Where windows count different numbers of elements, which LiteRT expresses for SAME only, the
    means over whole windows are multiplied by a constant image.

    Args:
        at: where.
        x: (n, c, h, w) or (n, c, l).
        kernel, strides: one number for each spatial axis.
        pads: zeros before and after each spatial axis.
        ceil_mode: whether a last window may reach beyond the border.
        count_include_pad: whether the zeros of the border count.
        divisor: what to divide by in place of the number of elements.
    """
    pooling = _Pooling(at, x, kernel, strides, pads, ceil_mode)
    area = math.prod(pooling.kernel)
    counted = pooling.counted(count_include_pad)
    if divisor is not None:
        counted = np.full_like(counted, divisor)
    elif pooling.same and np.array_equal(counted, pooling.counted(False)):
        y = pooling.windowed("AVERAGE_POOL_2D", pooling.image, "SAME")
        return at.unimage(y, pooling.rank)
    padded = pad_axes(at, pooling.image, ((0, 0), *pooling.reach, (0, 0)))
    y = pooling.windowed("AVERAGE_POOL_2D", padded, "VALID")
    factors = (area / counted).astype(np.float32)
    if (factors != 1).any():
        alike = (factors == factors[0, 0]).all()
        constant = factors[:1, 0] if alike else factors[None, :, :, None]
        y = at.add("MUL", [y, constant])
    return at.unimage(y, pooling.rank)


def _cut(size: int, count: int) -> list[tuple[int, int]]:
    """Start and length of each window: i * size / count rounded down to the next one's, up."""
    starts = [i * size // count for i in range(count)]
    return [(start, -(-(i + 1) * size // count) - start) for i, start in enumerate(starts)]


def _adaptive(at: Lowering, x: Operand, output: tuple[int, ...], op: str) -> str:
    rank, image = at.rank(x), at.image(x)
    wanted = pair(output, 1)
    if any(w < 1 for w in wanted):
        raise UnsupportedModelError(f"adaptive pooling to {output}")
    if op == "AVERAGE_POOL_2D" and wanted == (1, 1):
        return at.unimage(at.add("MEAN", [image], axis=(1, 2), keep_dims=True), rank)
    cuts = [_cut(*of_axis) for of_axis in zip(at.shape(image)[1:3], wanted, strict=True)]
    kernels, strides = [1, 1], [1, 1]
    for axis, cut in enumerate(cuts):
        steps = {b[0] - a[0] for a, b in itertools.pairwise(cut)} or {cut[0][1]}
        lengths = {length for _, length in cut}
        if len(steps) == 1 and len(lengths) == 1:
            kernels[axis], strides[axis] = lengths.pop(), steps.pop()
        else:
            image = _pool_unevenly(at, image, op, axis, cut)
    if kernels != [1, 1]:
        image = _pool(at, image, op, kernels, strides)
    return at.unimage(image, rank)


def _pool(at: Lowering, image: str, op: str, kernels: list[int], strides: list[int]) -> str:
    names = ("filter_height", "filter_width", "stride_h", "stride_w")
    attributes = dict(zip(names, (*kernels, *strides), strict=True))
    return at.add(op, [image], padding="VALID", **attributes)


def _pool_unevenly(at: Lowering, image: str, op: str, axis: int, cut: list[tuple[int, int]]) -> str:
    """One axis in windows of different sizes: each is a slice, pooled whole."""
    parts: list[Operand | None] = []
    for start, length in cut:
        kernel = [1, 1]
        kernel[axis] = length
        part = slice_axis(at, image, 1 + axis, start, start + length)
        parts.append(_pool(at, part, op, kernel, kernel))
    return at.add("CONCATENATION", parts, axis=1 + axis)


def adaptive_average_pool(at: Lowering, x: Operand, output: tuple[int, ...]) -> str:
    """The mean over windows that cut each spatial axis into `output` equal parts.

    Args:
        at: where.
        x: (n, c, h, w) or (n, c, l).
        output: the result's size on each spatial axis.
    """
    return _adaptive(at, x, output, "AVERAGE_POOL_2D")


def adaptive_max_pool(at: Lowering, x: Operand, output: tuple[int, ...]) -> str:
    """The largest element of windows that cut each spatial axis into `output` equal parts."""
    return _adaptive(at, x, output, "MAX_POOL_2D")
