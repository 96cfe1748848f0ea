"""Where RESIZE_BILINEAR reads: for each position of the result two of the image and a weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.average import rounded_quotient

BITS = 10
"""Fraction bits of integer positions and weights: TFLM's."""

Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.generic]]


def integer_scale(size: int, out: int, align_corners: bool) -> int:
    """Positions of an axis of `size` to one position of the result, in 1/1024, rounded.

    Example:
        >>> integer_scale(3, 5, True)
        512
    """
    if align_corners and out > 1:
        size, out = size - 1, out - 1
    return ((size << BITS) + out // 2) // out


def integer_places(size: int, out: int, align_corners: bool, half_pixel_centers: bool) -> Places:
    """The two positions on an axis that each of `out` is made from, as TFLM finds them in integers.

    Args:
        size: positions on the image's axis.
        out: positions on the result's axis.
        align_corners: the first and the last positions of both lie on each other.
        half_pixel_centers: pixels are areas with a centre, not points.

    Returns:
        (lower, upper, weight), int64 arrays of `out` elements: the result is made of `upper` by
        `weight` / 1024 and of `lower` by the rest.

    Example:
        >>> [a.tolist() for a in integer_places(2, 4, False, True)]
        [[0, 0, 0, 1], [0, 1, 1, 1], [-256, 256, 768, 256]]
    """
    scale = integer_scale(size, out, align_corners)
    one = 1 << BITS
    at = np.arange(out, dtype=np.int64) * scale
    if half_pixel_centers:
        at = at + scale // 2 - one // 2
    lower = np.clip(at // one, 0, size - 1)
    upper = np.minimum(-(-at // one), size - 1)
    return lower, np.maximum(upper, 0), at - lower * one


def float_places(size: int, out: int, align_corners: bool, half_pixel_centers: bool) -> Places:
    """The same in float32: the weights are float32 parts of one.

    Example:
        >>> [a.tolist() for a in float_places(2, 4, False, False)]
        [[0, 0, 1, 1], [0, 1, 1, 1], [0.0, 0.5, 0.0, 0.5]]
    """
    aligned = align_corners and out > 1
    scale = np.float32(size - aligned) / np.float32(out - aligned)
    half = np.float32(0.5 if half_pixel_centers else 0)
    at = (np.arange(out, dtype=np.float32) + half) * scale - half
    lower = np.clip(np.floor(at).astype(np.int64), 0, size - 1)
    upper = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    return lower, np.maximum(upper, 0), at - lower.astype(np.float32)


def weigh(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of values times two weights as values again: nearest, ties away from zero.

    Example:
        >>> weigh(np.array([3 << 19, -(3 << 19)])).tolist()
        [2, -2]
    """
    return rounded_quotient(sums, 1 << (2 * BITS))
