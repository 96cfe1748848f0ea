"""int8 logistic function: 1 / (1 + e^-x) in fixed point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics import fixed_point
from smidgen.numerics._saturating import MIN_INPUT_SCALE, saturating_unary_int8
from smidgen.numerics.requantize import rounding_divide_by_pot

__all__ = ["MIN_INPUT_SCALE", "OUTPUT_SCALE", "OUTPUT_ZERO_POINT", "logistic_int8"]

OUTPUT_SCALE = 1.0 / 256.0
OUTPUT_ZERO_POINT = -128


def logistic_int8(
    x: NDArray[np.int8], input_scale: float, input_zero_point: int
) -> NDArray[np.int8]:
    """Logistic function, int8 in, int8 out (scale 1/256, zero point -128).

    Args:
        x: int8 array of any shape.
        input_scale: Of `x`; from `MIN_INPUT_SCALE` up.
        input_zero_point: Of `x`.

    Returns:
        int8 array shaped like `x`.

    Raises:
        ValueError: If the scale is too small for the runtimes.

    Example:
        >>> logistic_int8(np.array([-128, 0, 127], np.int8), 0.05, 0).tolist()
        [-128, 0, 127]
    """

    def answer(raw: NDArray[np.int64]) -> NDArray[np.int64]:
        q0 = fixed_point.logistic(raw, integer_bits=4)
        return rounding_divide_by_pot(q0, 31 - 8) + OUTPUT_ZERO_POINT

    return saturating_unary_int8(x, input_scale, input_zero_point, answer)
