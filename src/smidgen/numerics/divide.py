"""int8 division: a reciprocal in fixed point, then two roundings."""

from __future__ import annotations

import numpy as np

from smidgen.numerics.fixed_point import reciprocal
from smidgen.numerics.requantize import (
    Int64Array,
    quantize_multiplier,
    rounding_divide_by_pot,
)
from smidgen.numerics.requantize import (
    saturating_rounding_doubling_high_mul as mul,
)

MIN_SHIFT, MAX_SHIFT = 7, 23
"""Of the factor. Beyond, quotients of some operands are shifted by more bits than there are, or by
fewer than none: the runtimes' answers are then whatever the processor makes of that."""


def division_factor(a_scale: float, b_scale: float, output_scale: float) -> tuple[int, int]:
    """The factor from quotients of steps to steps of the output.

    Raises:
        ValueError: If the runtimes do not divide at these scales.

    Example:
        >>> division_factor(0.5, 0.5, 1 / 64)
        (1073741824, 7)
    """
    a, b, out = (float(np.float32(s)) for s in (a_scale, b_scale, output_scale))
    multiplier, shift = quantize_multiplier(a / (b * out))
    if not MIN_SHIFT <= shift <= MAX_SHIFT:
        raise ValueError(
            f"no runtime divides int8 numbers of scales {a:.3g} and {b:.3g} into {out:.3g}: the "
            f"output's scale must be {2.0 ** (1 - MIN_SHIFT) * a / b:.3g} or less (but not tiny)"
        )
    return multiplier, shift


def divide(a: Int64Array, b: Int64Array, multiplier: int, shift: int) -> Int64Array:
    """Quotients a / b times a factor, as the runtimes round them.

    Args:
        a: Centred int8 values, -255 to 255.
        b: The same, broadcastable; a quotient by 0 is beyond every limit, 0 / 0 is 0.
        multiplier: From `division_factor`.
        shift: From `division_factor`.

    Returns:
        int64 array, before the zero point is added.

    Example:
        >>> divide(np.array([3, -3]), np.array([4, 4]), *division_factor(1, 1, 0.01)).tolist()
        [75, -75]
    """
    a, b = np.broadcast_arrays(a, b)
    positive = np.where(b < 0, -a, a)
    inverse, bits = reciprocal(np.maximum(np.abs(b), 1), 31)
    # Sign bits that repeat the first one: of 0 and -1 all the others.
    magnitude = np.where(positive < 0, -positive - 1, positive)
    headroom = 31 - np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)
    quotient = mul(positive << headroom, inverse)
    total = np.minimum(headroom + bits - shift, 31)
    scaled = rounding_divide_by_pot(mul(quotient, multiplier), total)
    return np.where(b == 0, np.sign(a) * (1 << 20), scaled)
