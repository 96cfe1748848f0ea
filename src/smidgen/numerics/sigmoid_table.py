"""int16 logistic function and hyperbolic tangent, read off one table with linear interpolation.

What the int16 operators LOGISTIC and TANH and the gates of an integer LSTM compute in TensorFlow
Lite Micro. The operand is in units of 1/1024 * 3/4 of a logistic argument: a Q3.12 number times 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.numerics.sigmoid_int16 import table

Int16Array = NDArray[np.int16]
Int64Array = NDArray[np.int64]

TABLE = table().astype(np.int32)
"""The logistic function of about i / 24, in units of 2^-16, for i from 0 to 255."""


def kernel_table() -> Int16Array:
    """`TABLE` less 32768, which makes its numbers fit the int16 table that kernels read."""
    return (TABLE - 32768).astype(np.int16)


def prepare(x: ArrayLike, multiplier: int = 0, shift: int = 0) -> Int64Array:
    """An operand in the table's units, of which there are 3 * 2^12 to an argument of 1.

    Args:
        x: int16 values.
        multiplier: of the operand's scale; 0 stands for 3 * 2^shift, without a shift to the right.
        shift: to the right, 0 to 30, ties upwards.

    Example:
        >>> prepare([4096], 0, 0).tolist(), prepare([4096], 3, 1).tolist()
        ([12288], [6144])
    """
    values = np.asarray(x).astype(np.int64)
    if multiplier == 0:
        return values * (3 << shift)
    half = (1 << shift) >> 1
    scaled: Int64Array = (values * multiplier + half) >> shift
    return scaled


def logistic_int16(prepared: ArrayLike) -> Int16Array:
    """Logistic function of an operand from `prepare`, int16 of scale 2^-15.

    Example:
        >>> logistic_int16(prepare([-32768, 0, 4096, 32767])).tolist()
        [11, 16384, 23956, 32757]
    """
    x = np.asarray(prepared, np.int64)
    y, saturated = _interpolated(np.abs(x), 9)
    result = np.where(saturated, 0x7FFF << 10, y)
    signed = np.where(x >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1)
    return (signed >> 10).astype(np.int16)


def tanh_int16(prepared: ArrayLike) -> Int16Array:
    """Hyperbolic tangent of an operand from `prepare`, int16 of scale 2^-15.

    Example:
        >>> tanh_int16(prepare([-32768, 0, 4096, 32767])).tolist()
        [-32767, 0, 24956, 32767]
    """
    x = np.asarray(prepared, np.int64)
    y, saturated = _interpolated(np.abs(x), 8)
    result = np.where(saturated, 0xFFFF << 8, y)
    signed = np.where(x >= 0, result - (1 << 23) + (1 << 7), -result + (1 << 23) + (1 << 7) - 1)
    return (signed >> 8).astype(np.int16)


def _interpolated(magnitude: Int64Array, bits: int) -> tuple[Any, Any]:
    """The table between its entries, times 2^bits; and where it ends."""
    entry = magnitude >> bits
    saturated = entry >= 255
    first = np.minimum(entry, 254)
    low, high = TABLE[first].astype(np.int64), TABLE[first + 1].astype(np.int64)
    return (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low), saturated
