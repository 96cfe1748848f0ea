"""int16 logistic function and hyperbolic tangent: one table, straight lines between its values.

tanh(x) = 2 logistic(2 x) - 1, so one table does for both. It holds 256 values of the logistic
function at multiples of 1/24, for distances from zero; both functions are symmetric.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTPUT_SCALE = 2.0**-15
"""Of both functions' results; their zero point is 0."""

_STEPS = 24  # of the table for each unit
_POWERS_OF_TWO = {"logistic": (0,), "tanh": (0, 1)}
_MAX_MULTIPLIER = (1 << 15) - 1


@cache
def table() -> NDArray[np.uint16]:
    """logistic(i / 24) * 2^16 for i = 0 .. 255.

    Each value is lifted by half of what a straight line to the next one lacks in the middle, and
    the last one stands for 1.

    Example:
        >>> table()[[0, 24, 255]].tolist()
        [32768, 47911, 65535]
    """
    x = np.arange(257) / _STEPS
    value, middle = (65536 / (1 + np.exp(-at)) for at in (x, x[:-1] + 0.5 / _STEPS))
    lack = middle - (value[:-1] + value[1:]) / 2
    found = np.floor(value[:-1] + lack / 2 + 0.5).astype(np.uint16)
    found[255] = 65535
    found.setflags(write=False)
    return found


def multiplier(input_scale: float, function: str) -> tuple[int, int]:
    """The integers that bring an input to the table's steps.

    Args:
        input_scale: Of the int16 input.
        function: "logistic" or "tanh".

    Returns:
        `(multiplier, shift)`: x * multiplier / 2^shift is x in steps of 1 / (3 * 4096).

    Raises:
        ValueError: If the runtimes cannot take the scale.

    Example:
        >>> multiplier(2.0**-12, "logistic"), multiplier(0.001, "tanh")
        ((3, 0), (25165, 11))
    """
    scale = float(np.float32(input_scale))
    # Scales within a thousandth of the fitting powers of two are taken for them.
    exact = np.log(np.float32(scale)) * np.float32(1 / np.log(np.float32(2)))
    power = round(float(exact))
    if abs(float(exact) - power) < 1e-3 and power + 12 in _POWERS_OF_TWO[function]:
        return 3 << (power + 12), 0
    real, shift = scale * 4096.0 * 3.0, 0
    while real <= _MAX_MULTIPLIER / 2.0 and shift <= 30:
        real, shift = 2 * real, shift + 1
    if not 1 <= real < _MAX_MULTIPLIER + 1:
        raise ValueError(f"input scale {input_scale} of an int16 {function} is not 1e-13 to 2.66")
    return math.floor(real), shift


def logistic_int16(x: NDArray[np.int16], input_scale: float) -> NDArray[np.int16]:
    """Logistic function, int16 in, int16 out (scale 2^-15).

    Args:
        x: int16 array of any shape, zero point 0.
        input_scale: Of `x`.

    Returns:
        int16 array shaped like `x`.

    Example:
        >>> logistic_int16(np.array([-32768, 0, 4096], np.int16), 2.0**-12).tolist()
        [11, 16384, 23956]
    """
    steps = _steps(x, input_scale, "logistic")
    y = _between(np.abs(steps), 9, 0x7FFF << 10)
    return _int16(np.where(steps >= 0, y + (1 << 9), (1 << 25) - y + (1 << 9) - 1) >> 10)


def tanh_int16(x: NDArray[np.int16], input_scale: float) -> NDArray[np.int16]:
    """Hyperbolic tangent, int16 in, int16 out (scale 2^-15).

    Args:
        x: int16 array of any shape, zero point 0.
        input_scale: Of `x`.

    Returns:
        int16 array shaped like `x`.

    Example:
        >>> tanh_int16(np.array([-32768, 0, 4096], np.int16), 2.0**-12).tolist()
        [-32767, 0, 24956]
    """
    steps = _steps(x, input_scale, "tanh")
    y = _between(np.abs(steps), 8, 0xFFFF << 8) - (1 << 23)
    return _int16((np.where(steps >= 0, y, -y - 1) + (1 << 7)) >> 8)


def _steps(x: NDArray[np.int16], input_scale: float, function: str) -> NDArray[np.int64]:
    factor, shift = multiplier(input_scale, function)
    half = (1 << shift) >> 1
    steps: NDArray[np.int64] = (x.astype(np.int64) * factor + half) >> shift
    return steps


def _between(distance: NDArray[np.int64], bits: int, most: int) -> NDArray[np.int64]:
    """The table's value at distance / 2^bits, times 2^bits; `most` from its last one on."""
    known = table().astype(np.int64)
    place = np.minimum(distance >> bits, 254)
    rest = distance & ((1 << bits) - 1)
    y = (known[place] << bits) + rest * (known[place + 1] - known[place])
    return np.where(distance >> bits >= 255, most, y)


def _int16(values: NDArray[Any]) -> NDArray[np.int16]:
    narrow: NDArray[np.int16] = values.astype(np.int16)
    return narrow
