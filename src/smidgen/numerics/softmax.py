"""int8 softmax: a table of exponentials by distance from the row's maximum, then a reciprocal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.fixed_point import exp_on_negative_values, reciprocal
from smidgen.numerics.requantize import (
    Int32Array,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

OUTPUT_SCALE = 1.0 / 256.0
OUTPUT_ZERO_POINT = -128
WIDE_OUTPUT_SCALE = 1.0 / 65536.0
WIDE_OUTPUT_ZERO_POINT = -32768

MAX_DEPTH = 4095
"""Longest row whose sum of exponentials (each at most 2^19) cannot leave int32."""

_DIFFERENCE_INTEGER_BITS = 5
_SUM_INTEGER_BITS = 12


def min_input_scale(beta: float) -> float:
    """The scale that an int8 softmax's input must exceed: the runtimes abort at or below it."""
    return 2.0 ** -(31 - _DIFFERENCE_INTEGER_BITS) / beta


def exp_table(input_scale: float, beta: float = 1.0) -> Int32Array:
    """e^(-beta * input_scale * d) for every distance d of an int8 from its row's maximum.

    Args:
        input_scale: Of the int8 input; above `min_input_scale(beta)`.
        beta: Positive; 1 in nearly every model.

    Returns:
        int32 array (n,), n <= 256: Q0.31 values for d = 0 .. n - 1, trailing zeros left out. A
        distance beyond the table counts as zero, exactly as in the reference kernel.

    Raises:
        ValueError: If the scale is too small for the runtimes.

    Example:
        >>> exp_table(8.0).tolist()
        [2147483647, 720401]
    """
    # float32 scale and beta, widened before the product, as the runtimes do.
    factor = float(np.float32(beta)) * float(np.float32(input_scale))
    factor *= 1 << (31 - _DIFFERENCE_INTEGER_BITS)
    if not factor > 1.0:
        raise ValueError(f"input scale {input_scale} is not above {min_input_scale(beta)}")
    multiplier, shift = quantize_multiplier(min(factor, 2.0**31 - 1.0))
    largest = (1 << _DIFFERENCE_INTEGER_BITS) - 1
    radius = math.floor(largest * 2.0 ** (31 - _DIFFERENCE_INTEGER_BITS) / 2.0**shift)
    distance = np.arange(min(radius, 255) + 1)
    # Shifting by hand first: one that moves only d = 0 may exceed what requantize takes.
    scaled = saturating_rounding_doubling_high_mul(-distance << shift, multiplier)
    table = exp_on_negative_values(scaled, _DIFFERENCE_INTEGER_BITS)
    return np.trim_zeros(table, "b").astype(np.int32)


def softmax_int8(
    x: NDArray[np.int8], input_scale: float, beta: float = 1.0, *, bits: int = 8
) -> NDArray[np.signedinteger]:
    """Softmax over the last axis, int8 in, int8 or int16 out: the smallest integer stands for 0.

    Args:
        x: int8 array (..., depth), depth 1 to `MAX_DEPTH`.
        input_scale: Of `x`; its zero point cancels.
        beta: Positive.
        bits: Of the output: 8 (scale 1/256, zero point -128) or 16 (1/65536 and -32768).

    Returns:
        int8 or int16 array shaped like `x`.

    Raises:
        ValueError: If the rows are too long or the scale too small.

    Example:
        >>> softmax_int8(np.array([[0, 0, 16]], np.int8), 0.125).tolist()
        [[-101, -101, 73]]
    """
    depth = x.shape[-1]
    if depth > MAX_DEPTH:
        raise ValueError(f"rows of {depth} are longer than {MAX_DEPTH}: their sum may overflow")
    table = np.zeros(256, np.int64)
    known = exp_table(input_scale, beta)
    table[: len(known)] = known
    distance = x.max(axis=-1, keepdims=True).astype(np.int64) - x
    exps = table[distance]
    sums = rounding_divide_by_pot(exps, _SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    scale, bits_over_unit = reciprocal(sums, _SUM_INTEGER_BITS)
    # Over 31 the answer is below one half of the smallest step; the shift must not be asked for.
    exponent = np.minimum(bits_over_unit + 31 - bits, 32)
    q = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(scale, exps), exponent)
    half = 1 << (bits - 1)
    return np.clip(q - half, -half, half - 1).astype(np.int8 if bits == 8 else np.int16)
