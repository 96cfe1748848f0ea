"""Sums of two bytes as a plane: two multiplications and one shift, exact wherever they can be.

TensorFlow Lite Micro brings both operands of an addition to one scale, adds, and scales the sum,
rounding six times. There are 65,536 pairs of operands, and for nearly all scales some integers make

    output = floor((a * a_multiplier + b * b_multiplier + addend) / 2^21), saturated to int8,

agree with it on every one. `find_plane` looks for them near the plane of the real factors and keeps
only those that agree on all pairs. Sums that are ties, of which negative ones are rounded down and
others up, need the sign as well: see `Plane.rounding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHIFT = 21
"""Bits that are dropped: sums of up to 1,024 units of the output still fit int32."""

BYTES = np.arange(-128, 128, dtype=np.int64)
"""All values of an operand, in the order in which `find_plane` takes outputs."""

_TRIES = 4  # units on either side of the ideal multipliers
_MULTIPLIER_LIMIT = 1 << 23  # products with a byte fit int32, and so do 256 multipliers
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Plane:
    """(a, b) to output.

    With x = a * a_multiplier + b * b_multiplier + addend, the output is x >> 21 saturated to int8,
    or (x + (x >> 31) + rounding) >> 21 where there is a `rounding`. Neither x, nor any part of the
    sum taken from left to right, leaves int32.

    Args:
        a_multiplier, b_multiplier: below 2^23 in magnitude.
        addend: int32.
        rounding: int32, or None.
    """

    a_multiplier: int
    b_multiplier: int
    addend: int
    rounding: int | None = None

    def __call__(self, a: Array, b: Array) -> Array:
        """The outputs, int64; see the class."""
        x = a * self.a_multiplier + b * self.b_multiplier + self.addend
        if self.rounding is not None:
            x = x + (x >> 31) + self.rounding
        outputs: Array = np.clip(x >> SHIFT, -128, 127)
        return outputs


def find_plane(
    outputs: Array, slopes: tuple[float, float], points: tuple[int, int], bounds: tuple[int, int]
) -> Plane | None:
    """A plane that agrees with the outputs of all pairs of operands.

    Args:
        outputs: of each pair, (256, 256), first operand first, both from -128 to 127.
        slopes: units of the output to a unit of each operand, about.
        points: zero points of the operands.
        bounds: smallest and largest output after activation. Where the outputs are at the smallest
            the plane may be lower still, and likewise higher at the largest.

    Returns:
        The plane, or None if the search finds none.

    Example:
        >>> mean = (BYTES[:, None] + BYTES) >> 1
        >>> find_plane(mean, (0.5, 0.5), (0, 0), (-128, 127))
        Plane(a_multiplier=1048576, b_multiplier=1048576, addend=524287, rounding=None)
    """
    want = outputs.astype(np.int64)
    # The plane must have reached each output, and must not have reached the next.
    least = np.where(want > bounds[0], want << SHIFT, np.iinfo(np.int64).min >> 1)
    most = np.where(want < bounds[1], ((want + 1) << SHIFT) - 1, np.iinfo(np.int64).max >> 1)
    ideal = [round(slope * 2.0**SHIFT) for slope in slopes]
    steps = sorted(
        product(range(-_TRIES, _TRIES + 1), repeat=2), key=lambda d: d[0] ** 2 + d[1] ** 2
    )
    for signed in (False, True):
        for da, db in steps:
            plane = _plane(ideal[0] + da, ideal[1] + db, points if signed else None, least, most)
            if plane is not None:
                return plane
    return None


def _plane(
    a: int, b: int, points: tuple[int, int] | None, least: Array, most: Array
) -> Plane | None:
    """The plane of two multipliers, if there is an addend that makes it one.

    With `points` it is centred on them and looks at the sign.
    """
    if max(abs(a), abs(b)) >= _MULTIPLIER_LIMIT:
        return None
    x = (a * BYTES)[:, None] + b * BYTES
    centre = 0
    if points is not None:
        centre = -a * points[0] - b * points[1]
        x += centre
        if x.min() < _INT32.min or x.max() > _INT32.max:
            return None
        x += x >> 31
    low = max(int((least - x).max()), int(_INT32.min - x.min()))
    high = min(int((most - x).min()), int(_INT32.max - x.max()))
    if low > high:
        return None
    middle = (low + high) // 2
    return Plane(a, b, middle) if points is None else Plane(a, b, centre, middle)
