"""Scales of weights with few bits: the least squared error, rather than the largest magnitude.

With 127 steps the largest weight may as well decide the scale. With 7 it must not: steps that fit
one outlier round everything else away. Weights beyond the last step are clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.numerics.affine import round_half_away

Array = np.ndarray[Any, Any]

# The last step is tried at these parts of the largest magnitude, then moved to where the squared
# error has its minimum while every weight keeps its step.
_PARTS = (1.0, *np.linspace(1.2, 0.25, 191))
_MOVES = 3


def least_squares_scales(
    weights: Array, scales: Sequence[float], axis: int | None, limit: int
) -> Array:
    """The scale (of each channel) that leaves the least squared error.

    Args:
        weights: float32 of any shape.
        scales: to improve on, of each channel or one, such that no weight is clipped.
        axis: the channel axis; None gives one scale for the whole tensor.
        limit: of the steps' numbers: they go from -limit to limit.

    Returns:
        float64 (channels,), or (1,).

    Example:
        >>> one_outlier = np.array([[9.0] + [1.0, -1.0, 2.0, 3.0, -3.0] * 20])
        >>> least_squares_scales(one_outlier, [9 / 7], 0, 7).round(2).tolist()
        [1.03]
    """
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0)
    rows = rows.reshape(len(rows), -1).astype(np.float64)
    widest = np.asarray(scales, np.float64)
    best, least = widest, np.full(len(rows), np.inf)
    for part in _PARTS:
        scale = part * widest
        for _ in range(_MOVES):
            steps = np.clip(round_half_away(rows / scale[:, None]), -limit, limit)
            error = np.square(rows - scale[:, None] * steps).sum(axis=1)
            better = error < least
            best, least = np.where(better, scale, best), np.where(better, error, least)
            squares = np.square(steps).sum(axis=1)
            scale = np.where(
                squares > 0, (rows * steps).sum(axis=1) / np.maximum(squares, 1), scale
            )
    return best
