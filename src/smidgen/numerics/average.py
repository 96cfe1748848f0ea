"""Means of integers: AVERAGE_POOL_2D divides, MEAN scales with the count in its multiplier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.numerics.requantize import MIN_SHIFT, quantize_multiplier


def rounded_quotient(total: ArrayLike, count: ArrayLike) -> NDArray[np.int64]:
    """The integer nearest to total / count, ties away from zero.

    Args:
        total: Integers.
        count: Positive integers, broadcastable with `total`.

    Returns:
        int64 array.

    Example:
        >>> rounded_quotient([5, -5, 4], 2).tolist()
        [3, -3, 2]
    """
    t = np.asarray(total, np.int64)
    n = np.asarray(count, np.int64)
    quotient: NDArray[np.int64] = np.sign(t) * ((np.abs(t) + n // 2) // n)
    return quotient


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """The multiplier and shift that turn a sum of `count` integers into their scaled mean.

    The division by the count is done on the multiplier, shifted left as far as the count's
    highest bit so that little precision is lost, and truncates.

    Args:
        real: Input scale / output scale.
        count: How many integers are summed, at least 1.

    Returns:
        `(multiplier, shift)` for `requantize`, which takes the sum without its zero points.

    Example:
        >>> mean_multiplier(1.0, 4)
        (1073741824, -1)
    """
    multiplier, shift = quantize_multiplier(real)
    bits = min(count.bit_length() - 1, 32, shift - MIN_SHIFT)
    return (multiplier << bits) // count, shift - bits
