"""What logistic and tanh share: a fixed-point function inside a radius, its limits outside."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.requantize import quantize_multiplier, requantize

MIN_INPUT_SCALE = 2.0**-28
"""Below this scale the reference kernels shift by a negative amount: undefined, so refused."""

_INPUT_INTEGER_BITS = 4


def saturating_unary_int8(
    x: NDArray[np.int8],
    input_scale: float,
    input_zero_point: int,
    answer: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> NDArray[np.int8]:
    """Applies a function of Q4.27 numbers to int8 inputs; -128 and 127 far from zero.

    Args:
        x: int8 array of any shape.
        input_scale: Of `x`; from `MIN_INPUT_SCALE` up.
        input_zero_point: Of `x`.
        answer: Maps Q4.27 values to the output's integers, before clamping to int8.

    Returns:
        int8 array shaped like `x`.

    Raises:
        ValueError: If the scale is too small.
    """
    if not input_scale >= MIN_INPUT_SCALE:
        raise ValueError(f"input scale {input_scale} is below {MIN_INPUT_SCALE}")
    fraction_bits = 31 - _INPUT_INTEGER_BITS
    factor = float(np.float32(input_scale)) * (1 << fraction_bits)
    multiplier, shift = quantize_multiplier(factor)
    # The first distance whose Q4.27 value might not fit; from there on the answer is the limit.
    largest = (1 << _INPUT_INTEGER_BITS) - 1
    radius = math.floor(largest * 2.0**fraction_bits / 2.0**shift)
    centred = x.astype(np.int64) - input_zero_point
    inside = np.abs(centred) < radius
    # Nothing is inside a radius of 0; its shift may be more than requantize takes.
    raw = requantize(np.where(inside, centred, 0), multiplier, shift if radius else 0)
    q = np.clip(answer(raw.astype(np.int64)), -128, 127)
    # A radius of 0 sends zero itself to the lower limit: the kernels ask about that one first.
    return np.where(inside, q, np.where(centred <= -radius, -128, 127)).astype(np.int8)
