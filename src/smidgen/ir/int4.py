"""int4 as it is stored: two elements to a byte, in files and in flash alike.

A graph holds int4 elements in int8 arrays, one to a byte. Files and compiled models store them in
order, the first of two in the low half of a byte; where the number is odd, the last byte's high
half is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

INT4_MIN, INT4_MAX = -8, 7


def pack_int4(data: Array) -> Array:
    """Elements two to a byte.

    Args:
        data: int8 of any shape, each from -8 to 7.

    Returns:
        uint8, (half as many, rounded up,).

    Example:
        >>> pack_int4(np.array([1, -1, 7], np.int8)).tolist()
        [241, 7]
    """
    nibbles = np.append(data.ravel(), np.zeros(data.size % 2, data.dtype)).view(np.uint8) & 0xF
    packed: Array = nibbles[::2] | nibbles[1::2] << 4
    return packed


def unpack_int4(raw: Array, size: int) -> Array:
    """The elements that `pack_int4` stored.

    Args:
        raw: uint8, one dimension.
        size: number of elements, at most twice the bytes.

    Returns:
        int8 (size,).

    Example:
        >>> unpack_int4(np.array([241, 7], np.uint8), 3).tolist()
        [1, -1, 7]
    """
    pairs = np.stack((raw << 4, raw), axis=-1).view(np.int8) >> 4
    unpacked: Array = pairs.reshape(-1)[:size]
    return unpacked
