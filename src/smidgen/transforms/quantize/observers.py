"""Observers: from the values an activation takes to the range that is worth representing.

A first pass over the calibration samples finds the smallest and largest value; observers that
need more get a histogram between the two from a second pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = tuple[float, float]

BINS = 2048
LEVELS = 256


def min_max(histogram: Array, low: float, high: float) -> Range:
    """Everything that was seen."""
    return low, high


def percentile(histogram: Array, low: float, high: float, keep: float = 0.9999) -> Range:
    """All but a ten-thousandth of the values at each end; 0 stays inside.

    Args:
        histogram: counts (BINS,) over [low, high].
        low: the smallest value seen.
        high: the largest.
        keep: the fraction of values kept at each end.
    """
    edges = np.linspace(low, high, len(histogram) + 1)
    share = np.cumsum(histogram) / max(1, histogram.sum())
    first = int(np.searchsorted(share, 1 - keep, side="right"))
    last = int(np.searchsorted(share, keep, side="left"))
    return float(edges[first]), float(edges[min(last + 1, len(edges) - 1)])


def mse(histogram: Array, low: float, high: float) -> Range:
    """The range with the least mean squared error of rounding inside it and clipping outside."""
    centres = _centres(histogram, low, high)
    best, best_error = (low, high), np.inf
    for candidate in _candidates(low, high):
        error = float(np.sum(histogram * _errors(centres, *candidate)))
        if error < best_error:
            best, best_error = candidate, error
    return best


def entropy(histogram: Array, low: float, high: float) -> Range:
    """The range whose quantized distribution tells least apart from the real one.

    Source: Migacz, "8-bit inference with TensorRT" (2017): Kullback-Leibler divergence between
    the clipped histogram and its 256-level version, here on asymmetric ranges.
    """
    centres = _centres(histogram, low, high)
    best, best_divergence = (low, high), np.inf
    for lo, hi in _candidates(low, high):
        clipped = np.clip(centres, lo, hi)
        level = np.clip(np.round((clipped - lo) / (hi - lo) * (LEVELS - 1)), 0, LEVELS - 1)
        inside = (centres >= lo) & (centres <= hi)
        if not inside.any():
            continue
        reference = np.where(inside, histogram, 0).astype(np.float64)
        ends = np.flatnonzero(inside)
        reference[ends[0]] += histogram[centres < lo].sum()
        reference[ends[-1]] += histogram[centres > hi].sum()
        # Each level spreads its mass evenly over the bins of it that are not empty.
        index = level[inside].astype(int)
        filled = (histogram[inside] > 0).astype(np.float64)
        mass = np.bincount(index, histogram[inside], LEVELS)
        spread = np.bincount(index, filled, LEVELS)
        candidate = np.where(filled > 0, mass[index] / np.maximum(spread[index], 1), 0.0)
        p, q = reference[inside], candidate
        if q.sum() == 0:
            continue
        p, q = p / p.sum(), q / q.sum()
        mask = p > 0
        divergence = float(np.sum(p[mask] * np.log(p[mask] / np.maximum(q[mask], 1e-12))))
        if divergence < best_divergence - 1e-9:
            best, best_divergence = (lo, hi), divergence
    return best


def _centres(histogram: Array, low: float, high: float) -> Array:
    edges = np.linspace(low, high, len(histogram) + 1)
    return (edges[:-1] + edges[1:]) / 2


def _candidates(low: float, high: float) -> list[Range]:
    """Ranges to try: each end pulled towards zero by up to 70 %, widest first."""
    factors = np.linspace(1.0, 0.3, 36)
    lows = [low * f for f in factors] if low < 0 else [min(low, 0.0)]
    highs = [high * f for f in factors] if high > 0 else [max(high, 0.0)]
    return [(float(a), float(b)) for a in lows for b in highs if b > a]


def _errors(values: Array, low: float, high: float) -> Array:
    step = (high - low) / (LEVELS - 1)
    # Rounding: the variance of a uniform error; clipping: the distance beyond the end, squared.
    outside = np.maximum(low - values, 0) + np.maximum(values - high, 0)
    return np.where(outside > 0, outside**2, step**2 / 12)


OBSERVE: dict[str, Callable[[Array, float, float], Range]] = {
    "min-max": min_max,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}
