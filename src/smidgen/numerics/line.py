"""Requantization as a line: one multiplication whose floor is exact wherever it can be reached.

Rounding twice, as TensorFlow Lite Micro does, is still a staircase: monotone, at most 256 steps.
On the side of the zero point where a ReLU leaves anything, its steps lie on a line, so that

    output = floor((256 * acc + addend) * multiplier / 2^44), saturated to int8,

agrees with it on every accumulator for some integers. `find_lines` searches for them and keeps
only those that agree at each step of the staircase, which proves the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.requantize import requantize

Array = NDArray[Any]

SHIFT = 44
"""Bits that are dropped after the multiplication: 32 by taking the high word, then 12."""

_TRIES = 8  # addends on either side of the ideal one
_LIMIT = 1 << 31


def staircase(multiplier: Array, shift: Array, low: Array, high: Array, targets: Array) -> Array:
    """Where requantization reaches each target.

    Args:
        multiplier, shift: of each channel, (channels,).
        low, high: smallest and largest accumulator of each channel, (channels,).
        targets: requantized values, (targets,).

    Returns:
        The smallest accumulator from `low` to `high` that gives the target or more, `high + 1`
        where none does; int64 (channels, targets).
    """
    first = np.repeat(low.astype(np.int64)[:, None], len(targets), 1)
    last = np.repeat(high.astype(np.int64)[:, None] + 1, len(targets), 1)
    while (first < last).any():
        middle = (first + last) >> 1
        value = requantize(middle.T, multiplier, shift, rounding="double").T
        reached = value >= targets
        last = np.where(reached, middle, last)
        first = np.where(reached | (first >= last), first, middle + 1)
    return first


def find_lines(
    multiplier: Array,
    shift: Array,
    low: Array,
    high: Array,
    zero_point: int,
    bounds: tuple[int, int],
) -> tuple[Array, Array] | None:
    """Lines that agree with double rounding between the bounds.

    Args:
        multiplier, shift: of each channel, int32 (channels,); see `quantize_multipliers`.
        low, high: smallest and largest accumulator of each channel, below 2^31 in magnitude.
        zero_point: of the output.
        bounds: smallest and largest output after activation. Where the staircase is at the
            smallest the line may be lower still, and likewise higher at the largest.

    Returns:
        Addends, int64 (channels,), such that no `256 * acc + addend` leaves int32 (they may
        themselves), and multipliers, int32 (channels,); None if some channel has none.

    Example:
        >>> find_lines(np.array([1 << 30]), np.array([-7]), np.array([-9000]),
        ...            np.array([9000]), -128, (-128, 127))
        (array([-8355584]), array([268427200], dtype=int32))
    """
    outputs = np.arange(bounds[0] + 1, bounds[1] + 1, dtype=np.int64)
    steps = staircase(multiplier, shift, low, high, outputs - zero_point)
    addends, multipliers = [], []
    for c in range(len(multiplier)):
        real = float(multiplier[c]) * 2.0 ** (int(shift[c]) - 31)
        line = _line(real, int(shift[c]), steps[c], int(low[c]), int(high[c]), zero_point, outputs)
        if line is None:
            return None
        addends.append(line[0])
        multipliers.append(line[1])
    return np.array(addends, np.int64), np.array(multipliers, np.int32)


def _line(
    real: float, shift: int, steps: Array, low: int, high: int, zero_point: int, outputs: Array
) -> tuple[int, int] | None:
    if real <= 0 or shift > 0:
        return None
    # Rounding to nearest twice adds half a unit of the output, then half a unit of the product.
    ideal = round(256 * (zero_point + 0.5 + 2.0 ** (shift - 1)) / real)
    for addend in sorted(range(ideal - _TRIES, ideal + _TRIES + 1), key=lambda b: abs(b - ideal)):
        if 256 * low + addend < -_LIMIT or 256 * high + addend >= _LIMIT:
            continue
        # At a step the line must have reached the output, one accumulator before it must not.
        at, before = steps <= high, steps > low
        products = np.concatenate([256 * steps[at] + addend, -(256 * (steps[before] - 1) + addend)])
        least = np.concatenate([outputs[at] << SHIFT, 1 - (outputs[before] << SHIFT)])
        multiplier = _multiplier(products, least)
        if multiplier is not None:
            return addend, multiplier
    # A short piece of the staircase leaves room for lines whose addends are further away.
    ideal = round(real * 2.0 ** (SHIFT - 8))
    for multiplier in sorted(range(ideal - _TRIES, ideal + _TRIES), key=lambda m: abs(m - ideal)):
        if 0 < multiplier < _LIMIT:
            found = _addend(multiplier, steps, low, high, outputs)
            if found is not None:
                return found, multiplier
    return None


def _addend(multiplier: int, steps: Array, low: int, high: int, outputs: Array) -> int | None:
    """The smallest addend that agrees at each step, with a multiplier."""
    at, before = steps <= high, steps > low
    reaches = -(-(outputs << SHIFT) // multiplier)  # the least 256 * acc + addend for each output
    smallest = [-_LIMIT - 256 * low, *(reaches - 256 * steps)[at].tolist()]
    largest = [_LIMIT - 1 - 256 * high, *(reaches - 1 - 256 * (steps - 1))[before].tolist()]
    return max(smallest) if max(smallest) <= min(largest) else None


def _multiplier(products: Array, least: Array) -> int | None:
    """The smallest positive int32 whose multiple of each product is at least so much."""
    up, down = products > 0, products < 0
    if (least[products == 0] > 0).any():
        return None
    smallest = max(1, int((-(-least[up] // products[up])).max(initial=1)))
    largest = int((-least[down] // -products[down]).min(initial=_LIMIT - 1))
    return smallest if smallest <= largest else None
