"""Tables for int8 functions of one int8 input: 256 answers, found at compile time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Int8Array = NDArray[np.int8]

INT8_VALUES: Int8Array = np.arange(256, dtype=np.uint8).view(np.int8)
"""Every int8 in the order of its bits as an unsigned byte: 0 .. 127, then -128 .. -1."""
INT8_VALUES.setflags(write=False)


def table_int8(function: Callable[[Int8Array], Int8Array]) -> Int8Array:
    """The answers of an elementwise int8 function for all inputs.

    Args:
        function: Maps int8 arrays to int8 arrays of the same shape, element by element.

    Returns:
        int8 array (256,), indexed by the input's bits as an unsigned byte.

    Raises:
        ValueError: If the function does not return int8 for each element.

    Example:
        >>> int(table_int8(lambda x: x // np.int8(2))[np.uint8(254)])  # the answer to -2
        -1
    """
    table = np.asarray(function(INT8_VALUES))
    if table.shape != (256,) or table.dtype != np.int8:
        raise ValueError(f"the function returned {table.dtype}{table.shape}, not int8(256,)")
    return table


def apply_table(x: Int8Array, table: Int8Array) -> Int8Array:
    """Looks up each element of an int8 array in a table of `table_int8`."""
    return table[x.view(np.uint8)]
