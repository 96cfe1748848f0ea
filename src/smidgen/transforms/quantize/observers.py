"""Observers: from the values an activation takes to the range that is worth representing.

Values are seen batch by batch, once, and what is kept of them does not depend on the batches:
the extremes, and for the observers that need more a histogram whose bins double their width when
the values outgrow them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = tuple[float, float]

LEVELS = 256
KEEP = 0.9999  # of the values, at each end, by the percentile observer

# Bins on each side of zero; at least half of those on the longer side are in use.
_HALF = 2048
# Narrower bins than this have no reciprocal in float32.
_SMALLEST_EXPONENT = -100


class Extremes:
    """The smallest and the largest value seen, and zero."""

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 0.0

    def add(self, values: Array) -> None:
        """See more values, float32 of any shape.

        Raises:
            ValueError: if there is NaN or infinity among them.
        """
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("holds NaN or infinity")
        self.low, self.high = min(self.low, low), max(self.high, high)


class Histogram(Extremes):
    """How often which values were seen.

    Zeros are counted apart: whatever the range, zero has a level of its own and no error.

    Example:
        >>> seen = Histogram()
        >>> seen.add(np.array([0, 0, 1, 3], np.float32))
        >>> seen.add(np.array([-8], np.float32))
        >>> seen.low, seen.high, seen.zeros, int(seen.counts.sum())
        (-8.0, 3.0, 2, 3)
    """

    def __init__(self) -> None:
        super().__init__()
        self.zeros = 0
        self._exponent = _SMALLEST_EXPONENT  # a bin is 2 ** exponent wide
        self._bins = np.zeros(2 * _HALF, np.int64)

    def add(self, values: Array) -> None:
        """See more values, float32 of any shape; see `Extremes.add`."""
        super().add(values)
        zeros = values.size - int(np.count_nonzero(values))
        self.zeros += zeros
        if zeros == values.size:
            return
        self._widen()
        # A power of two divides exactly, so a value's bin does not depend on when it was seen.
        scaled = np.floor(values.ravel() * np.float32(2.0**-self._exponent))
        self._bins += np.bincount(scaled.astype(np.intp) + _HALF, minlength=2 * _HALF)
        self._bins[_HALF] -= zeros

    def _widen(self) -> None:
        """Merge bins two by two until they reach the value farthest from zero."""
        reach = math.frexp(max(-self.low, self.high))[1]  # all values are below 2 ** reach
        exponent = max(reach - _HALF.bit_length() + 1, _SMALLEST_EXPONENT)
        empty = np.zeros(_HALF // 2, np.int64)
        while self._exponent < exponent and self._bins.any():
            merged = self._bins.reshape(-1, 2).sum(axis=1)
            self._bins = np.concatenate((empty, merged, empty))
            self._exponent += 1
        self._exponent = max(self._exponent, exponent)

    @property
    def total(self) -> int:
        """How many values were seen."""
        return int(self._bins.sum()) + self.zeros

    @property
    def counts(self) -> Array:
        """Values other than zero in each bin from the lowest to the highest, int64 (bins,)."""
        return self._bins[self._used]

    @property
    def edges(self) -> Array:
        """Where the bins begin and end, float64 (bins + 1,)."""
        used = self._used
        return np.arange(used.start - _HALF, used.stop - _HALF + 1) * 2.0**self._exponent

    @property
    def centres(self) -> Array:
        """The middles of the bins, float64 (bins,)."""
        edges = self.edges
        middles: Array = (edges[:-1] + edges[1:]) / 2
        return middles

    @property
    def _used(self) -> slice:
        first, last = (math.floor(v * 2.0**-self._exponent) for v in (self.low, self.high))
        return slice(max(0, first + _HALF), last + _HALF + 1)


def min_max(seen: Extremes) -> Range:
    """Everything that was seen."""
    return seen.low, seen.high


def percentile(seen: Histogram, keep: float = KEEP) -> Range:
    """All but a ten-thousandth of the values at each end.

    Args:
        seen: the values.
        keep: the fraction of all values that is kept at each end.
    """
    spare = (1 - keep) * seen.total
    counts, edges = seen.counts, seen.edges
    first = int(np.searchsorted(np.cumsum(counts), spare, side="right"))
    last = int(np.searchsorted(np.cumsum(counts[::-1]), spare, side="right"))
    low, high = edges[min(first, len(counts))], edges[max(len(counts) - last, 0)]
    # Zero stays inside, and a bin's edge may lie beyond the last value in it.
    return float(np.clip(low, seen.low, 0.0)), float(np.clip(high, 0.0, seen.high))


def mse(seen: Histogram) -> Range:
    """The range with the least mean squared error: rounding inside it, clipping beyond it."""
    counts, centres = seen.counts.astype(np.float64), seen.centres
    moments = [np.concatenate(([0.0], np.cumsum(counts * centres**k))) for k in range(3)]
    lows, highs = _candidates(seen, 128, 1 / 128)

    def clipped(ends: Array, sums: list[Array]) -> Array:
        """Squared distances from `ends` to the values with the given sums of x ** 0, 1, 2."""
        squares: Array = np.maximum(ends**2 * sums[0] - 2 * ends * sums[1] + sums[2], 0.0)
        return squares

    below = np.searchsorted(centres, lows)
    above = np.searchsorted(centres, highs, side="right")
    under = clipped(lows, [m[below] for m in moments])
    over = clipped(highs, [m[-1] - m[above] for m in moments])
    inside = moments[0][above][None, :] - moments[0][below][:, None]
    step = (highs[None, :] - lows[:, None]) / (LEVELS - 1)
    # A rounding error is anything up to half a step, with the variance of a uniform one.
    error = under[:, None] + over[None, :] + np.maximum(inside, 0) * step**2 / 12
    i, j = np.unravel_index(int(error.argmin()), error.shape)
    return float(lows[i]), float(highs[j])


def entropy(seen: Histogram) -> Range:
    """The range whose quantized distribution tells least apart from the real one.

    Source: Migacz, "8-bit inference with TensorRT" (2017): Kullback-Leibler divergence between
    the clipped histogram and its 256-level version, here on asymmetric ranges.
    """
    if seen.low == seen.high:
        return 0.0, 0.0
    lows, highs = _candidates(seen, 36, 0.3)
    best, least = (seen.low, seen.high), np.inf
    for low in lows:
        divergences = _divergences(seen, float(low), highs)
        j = int(divergences.argmin())
        if divergences[j] < least - 1e-9:
            best, least = (float(low), float(highs[j])), divergences[j]
    return best


def _divergences(seen: Histogram, low: float, highs: Array) -> Array:
    """Kullback-Leibler divergence for the ranges from `low` to each of `highs`."""
    counts, centres = seen.counts.astype(np.float64), seen.centres
    rows = np.arange(len(highs))
    inside = (centres >= low) & (centres <= highs[:, None])
    some = inside.any(axis=1)
    first = inside.argmax(axis=1)
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    kept = np.where(inside, counts, 0.0)
    real = kept.copy()  # the clipped distribution: what lies outside moves to the ends
    before = np.concatenate(([0.0], np.cumsum(counts)))
    real[rows, first] += before[first]
    real[rows, last] += before[-1] - before[last + 1]
    level = np.round((centres - low) / (highs[:, None] - low) * (LEVELS - 1))
    slot = np.clip(level, 0, LEVELS - 1).astype(np.intp) + LEVELS * rows[:, None]
    filled = real > 0

    def by_level(weights: Array) -> Array:
        sums = np.bincount(slot.ravel(), weights.ravel(), LEVELS * len(rows))
        spread: Array = sums[slot]
        return spread

    # The quantized distribution: each level spreads its values over its bins that are in use.
    coarse = np.where(filled, by_level(kept) / np.maximum(by_level(filled * 1.0), 1.0), 0.0)
    p = real / np.maximum(real.sum(axis=1, keepdims=True), 1e-300)
    q = coarse / np.maximum(coarse.sum(axis=1, keepdims=True), 1e-300)
    terms = p * np.log(np.maximum(p, 1e-300) / np.maximum(q, 1e-12))
    divergence: Array = np.where(some, terms.sum(axis=1), np.inf)
    return divergence


def _candidates(seen: Extremes, count: int, smallest: float) -> tuple[Array, Array]:
    """Ends to try, widest first: those seen, and pulled towards zero down to `smallest` of it."""
    factors = np.linspace(1.0, smallest, count)

    def ends(end: float) -> Array:
        return end * factors if end else np.zeros(1)

    return ends(seen.low), ends(seen.high)


Observer = Callable[[Any], Range]

OBSERVERS: dict[str, Observer] = {
    "min-max": min_max,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}
"""From what was seen to a range: `Extremes` for "min-max", a `Histogram` for the others."""


def start(observer: str) -> Extremes:
    """Something that sees values for an observer.

    Example:
        >>> seen = start("min-max")
        >>> seen.add(np.ones(3, np.float32))
        >>> OBSERVERS["min-max"](seen)
        (0.0, 1.0)
    """
    return Extremes() if OBSERVERS[observer] is min_max else Histogram()
