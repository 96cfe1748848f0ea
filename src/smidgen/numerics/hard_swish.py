"""int8 hard swish, x * min(max(x + 3, 0), 6) / 6, in the 16-bit arithmetic of the runtimes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.requantize import INT32_MAX, quantize_multiplier

Int16Array = NDArray[np.int16]


def hard_swish_int8(
    x: NDArray[np.int8],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> NDArray[np.int8]:
    """Hard swish, int8 in, int8 out.

    Args:
        x: int8 array of any shape.
        input_scale: Of `x`.
        input_zero_point: Of `x`.
        output_scale: More than 1/128 of the input's.
        output_zero_point: Of the result.

    Returns:
        int8 array shaped like `x`.

    Raises:
        ValueError: If the output scale is too small for the runtimes.

    Example:
        >>> hard_swish_int8(np.array([-64, 0, 16, 64], np.int8), 0.0625, 0, 0.0625, 0).tolist()
        [0, 0, 11, 64]
    """
    # The 8-bit input sits in the high bits of an int16, hence the scale's 1/128.
    hires_scale = float(np.float32(input_scale)) / 128.0
    output_multiplier, output_shift = _quantize_multiplier_int16(
        hires_scale / float(np.float32(output_scale))
    )
    if output_shift > 0:
        raise ValueError(
            f"output scale {output_scale} is below 1/128 of the input's, {input_scale}"
        )
    # On this scale the real value 3 is 2^15: one beyond the largest int16.
    reluish_multiplier, reluish_shift = _quantize_multiplier_int16(hires_scale / (3.0 / 32768.0))
    hires = ((x.astype(np.int32) - input_zero_point) << 7).astype(np.int16)
    unshifted = _rounding_high_mul(hires, output_multiplier)

    reluish = hires
    if reluish_shift > 0:
        # One bit less than wanted: a saturation here can no longer show in the result.
        reluish = _saturating_shift_left(reluish, reluish_shift - 1)
    reluish = _rounding_high_mul(reluish, reluish_multiplier)
    if reluish_shift > 0:
        reluish = _saturating_shift_left(reluish, 1)
    if reluish_shift < 0:
        reluish = _rounding_divide_by_pot(reluish, -reluish_shift)
    # From [-1, 1] to [0, 1].
    gate = ((reluish.astype(np.int32) + (1 << 15)) >> 1).astype(np.int16)

    product = _truncating_high_mul(gate, unshifted)
    q = _rounding_divide_by_pot(product, -output_shift).astype(np.int32) + output_zero_point
    # The kernels add the zero point in 16 bits, and may wrap when the output scale is tiny.
    return np.clip(q.astype(np.int16), -128, 127).astype(np.int8)


def _quantize_multiplier_int16(real: float) -> tuple[int, int]:
    """A Q15 multiplier and shift, by way of the Q31 one."""
    multiplier, shift = quantize_multiplier(real)
    half = 1 << 15
    if multiplier >= INT32_MAX - half:
        return (1 << 15) - 1, shift
    return (multiplier + half) >> 16, shift


def _rounding_high_mul(a: Int16Array, b: int) -> Int16Array:
    """The high 16 bits of 2 * a * b, ties upwards. `b` is never -2^15, so nothing saturates."""
    return ((a.astype(np.int32) * b + (1 << 14)) >> 15).astype(np.int16)


def _truncating_high_mul(a: Int16Array, b: Int16Array) -> Int16Array:
    """The high 16 bits of 2 * a * b, rounded toward zero. `a` is never negative."""
    product = a.astype(np.int32) * b.astype(np.int32)
    high: Int16Array = (np.sign(product) * (np.abs(product) >> 15)).astype(np.int16)
    return high


def _saturating_shift_left(x: Int16Array, amount: int) -> Int16Array:
    """Multiplies by 2^amount and clamps to int16."""
    shifted = x.astype(np.int64) << amount
    clamped: Int16Array = np.clip(shifted, -(1 << 15), (1 << 15) - 1).astype(np.int16)
    return clamped


def _rounding_divide_by_pot(x: Int16Array, exponent: int) -> Int16Array:
    """Divides by 2^exponent, ties away from zero, with the 16-bit quirk of the runtimes.

    Their mask of the lower bits is an int16 too. From 16 bits on it is -1, and what should be 0
    comes out as 1, or -1 for negative numbers.
    """
    mask = np.array((1 << exponent) - 1, np.int64).astype(np.int16)
    threshold = (mask >> 1) + (x < 0)
    up = (x & mask) > threshold
    return ((x.astype(np.int64) >> exponent) + up).astype(np.int16)
