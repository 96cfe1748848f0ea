"""Comparing int8 numbers of different scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.requantize import Int64Array, quantize_multiplier, requantize

LEFT_SHIFT = 8
"""Fraction bits of what is compared."""


def comparable(x: NDArray[Any], scale: float, zero_point: int) -> Int64Array:
    """The real numbers in steps of 1/256, rounded: what TensorFlow Lite Micro compares.

    Numbers whose difference is less than such a step may count as equal.

    Args:
        x: int8 array.
        scale: Of `x`, below 1.
        zero_point: Of `x`.

    Returns:
        int64 array shaped like `x`.

    Raises:
        ValueError: If the scale is 1 or more; the runtimes abort on those.

    Example:
        >>> comparable(np.array([3, 4], np.int8), 0.5, 0).tolist()
        [384, 512]
    """
    return requantize(
        (x.astype(np.int64) - zero_point) << LEFT_SHIFT, *comparison_factor(scale)
    ).astype(np.int64)


def comparison_factor(scale: float) -> tuple[int, int]:
    """The multiplier and shift of `comparable`."""
    if not np.float32(scale) < 1:
        raise ValueError(f"a scale of {scale:.3g} is compared by no runtime: it must be below 1")
    return quantize_multiplier(float(np.float32(scale)))
