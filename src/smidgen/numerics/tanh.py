"""int8 hyperbolic tangent in fixed point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics import fixed_point
from smidgen.numerics._saturating import MIN_INPUT_SCALE, saturating_unary_int8
from smidgen.numerics.requantize import rounding_divide_by_pot

__all__ = ["MIN_INPUT_SCALE", "OUTPUT_SCALE", "OUTPUT_ZERO_POINT", "tanh_int8"]

OUTPUT_SCALE = 1.0 / 128.0
OUTPUT_ZERO_POINT = 0


def tanh_int8(x: NDArray[np.int8], input_scale: float, input_zero_point: int) -> NDArray[np.int8]:
    """Hyperbolic tangent, int8 in, int8 out (scale 1/128, zero point 0).

    Args:
        x: int8 array of any shape.
        input_scale: Of `x`; from `MIN_INPUT_SCALE` up.
        input_zero_point: Of `x`.

    Returns:
        int8 array shaped like `x`.

    Raises:
        ValueError: If the scale is too small for the runtimes.

    Example:
        >>> tanh_int8(np.array([-128, 0, 10], np.int8), 0.05, 0).tolist()
        [-128, 0, 59]
    """

    def answer(raw: NDArray[np.int64]) -> NDArray[np.int64]:
        return rounding_divide_by_pot(fixed_point.tanh(raw, integer_bits=4), 31 - 7)

    return saturating_unary_int8(x, input_scale, input_zero_point, answer)
