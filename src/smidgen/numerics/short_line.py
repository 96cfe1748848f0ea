"""Requantization as a line whose addend comes after the multiplication: short on any core.

`smidgen.numerics.line` takes the high word of a product, which is one instruction on some cores
only. On all others this form is shorter:

    output = (((sum * multiplier) >> 16) + addend) >> shift, then limited.

It agrees with rounding twice on every sum that can be reached for some integers, if at all.
`find_short_lines` keeps only those that agree at each step of the staircase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.line import staircase

Array = NDArray[Any]

DROPPED = 16
"""Bits that are dropped before the addend comes."""

MAX_SUM = 1 << 23
"""Sums must be smaller in magnitude: kernels may multiply their upper 16 and lower 8 bits."""

_MAX_SHIFT = 22
_TRIES = 8  # multipliers on either side of the nearest one
_LIMIT = 1 << 31
_NEVER = np.int64(1) << 62


@dataclass(frozen=True)
class ShortLines:
    """A line for each channel.

    Args:
        multiplier, addend: int32 (channels,); multipliers are not negative.
        shift: of all channels, 1 to 22.
    """

    multiplier: Array
    addend: Array
    shift: int

    def at(self, sums: Array) -> Array:
        """Outputs before they are limited, int64, of integer sums (..., channels)."""
        product: Array = sums.astype(np.int64) * self.multiplier
        return ((product >> DROPPED) + self.addend) >> self.shift


def find_short_lines(
    multiplier: Array,
    shift: Array,
    bias: Array,
    low: Array,
    high: Array,
    zero_point: int,
    bounds: tuple[int, int],
) -> ShortLines | None:
    """Lines that agree with double rounding between the bounds.

    Args:
        multiplier, shift: of each channel, (channels,); see `quantize_multipliers`.
        bias: what is added to each sum before it is requantized, (channels,); the lines include
            it.
        low, high: smallest and largest sum of each channel, without the bias, (channels,).
        zero_point: of the output.
        bounds: smallest and largest output after activation. Where the staircase is at the
            smallest the line may be lower still, and likewise higher at the largest.

    Returns:
        The lines; None if some channel has none.

    Example:
        >>> lines = find_short_lines(np.array([1 << 30]), np.array([-7]), np.array([100]),
        ...                          np.array([-9000]), np.array([9000]), -128, (-128, 127))
        >>> lines.at(np.array([[-100], [900], [9000]])).ravel().tolist()
        [-128, -124, -92]
    """
    multiplier, shift, bias, low, high = (
        a.astype(np.int64) for a in (multiplier, shift, bias, low, high)
    )
    if max(-low.min(), high.max()) >= MAX_SUM:
        return None
    if max(np.abs(bias + low).max(), np.abs(bias + high).max()) >= _LIMIT:
        return None
    outputs = np.arange(bounds[0] + 1, bounds[1] + 1, dtype=np.int64)
    steps = staircase(multiplier, shift, low + bias, high + bias, outputs - zero_point)
    steps -= bias[:, None]
    # A channel with one answer to every sum may have any factor; 0 is the easiest.
    one_answer = ((steps <= low[:, None]) | (steps > high[:, None])).all(1)
    real = np.where(one_answer, 0.0, multiplier * 2.0 ** (shift - 31))
    if one_answer.all() or (real[~one_answer] <= 0).any():
        return None
    # The finest lines that int32 holds, and one bit less where those are just too fine.
    farthest = (real * np.maximum(np.abs(low + bias), np.abs(high + bias))).max() + 256
    farthest = max(farthest, (real * np.maximum(-low, high)).max())
    finest = min(31 - int(np.ceil(np.log2(farthest))), _MAX_SHIFT)
    finest = min(finest, 31 - DROPPED - int(np.ceil(np.log2(real.max()))))
    for candidate in (finest, finest - 1):
        lines = _lines(real, steps, low, high, outputs, candidate) if candidate > 0 else None
        if lines is not None:
            return lines
    return None


def _lines(
    real: Array, steps: Array, low: Array, high: Array, outputs: Array, shift: int
) -> ShortLines | None:
    total = DROPPED + shift
    nearest = np.rint(real * 2.0**total).astype(np.int64)
    found = np.full(len(real), -1, np.int64)
    addend = np.zeros(len(real), np.int64)
    at, before = steps <= high[:, None], steps > low[:, None]
    for change in sorted(range(-_TRIES, _TRIES + 1), key=abs):
        multiplier = np.maximum(nearest + change, 0)
        # At a step the line must have reached the output, one sum before it must not.
        least = (outputs << total) - multiplier[:, None] * steps
        most = least + multiplier[:, None] - 1
        smallest = np.where(at, least, -_NEVER).max(1, initial=-_NEVER)
        largest = np.where(before, most, _NEVER).min(1, initial=_NEVER)
        # Where no step is reached the line may be as low as it likes.
        smallest = np.where(smallest == -_NEVER, largest - (1 << DROPPED), smallest)
        trial = -(-smallest >> DROPPED)
        fits = ((trial << DROPPED) <= largest) & (multiplier < _LIMIT)
        for end in (low, high):
            product = (end * multiplier) >> DROPPED
            fits &= (np.abs(product) < _LIMIT) & (np.abs(product + trial) < _LIMIT)
        fits &= np.abs(trial) < _LIMIT
        if fits.all():  # then channels with one factor have one multiplier
            return ShortLines(multiplier.astype(np.int32), trial.astype(np.int32), shift)
        fits &= found < 0
        found = np.where(fits, multiplier, found)
        addend = np.where(fits, trial, addend)
    if (found < 0).any():
        return None
    return ShortLines(found.astype(np.int32), addend.astype(np.int32), shift)
