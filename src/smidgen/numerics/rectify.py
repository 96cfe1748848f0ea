"""Rectifiers that change scale, and the plain change of scale: one or two multipliers.

The factors are products and quotients in float64 of float32 scales, as in TensorFlow Lite Micro.
LiteRT takes RELU's and LEAKY_RELU's in float32: where that rounds a factor onto a tie, or off
one, its answer is one step away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.affine import activation_range, dtype_range
from smidgen.numerics.requantize import quantize_multiplier, requantize


def rescale(
    x: NDArray[Any],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    dtype: str = "int8",
) -> NDArray[Any]:
    """The same real numbers at another scale and zero point, clamped to another dtype.

    Args:
        x: int8, uint8 or int16 array of any shape.
        input_scale: Of `x`.
        input_zero_point: Of `x`.
        output_scale: Of the result.
        output_zero_point: Of the result.
        dtype: Of the result.

    Returns:
        Array of `dtype`, shaped like `x`.

    Example:
        >>> rescale(np.array([-2, 3], np.int8), 0.5, 0, 1.0, 10).tolist()
        [9, 12]
    """
    factor = _float32(input_scale) / _float32(output_scale)
    bounds = dtype_range(dtype)
    return _scale_and_clamp(x, input_zero_point, factor, output_zero_point, *bounds).astype(dtype)


def relu(
    x: NDArray[Any],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    dtype: str = "int8",
) -> NDArray[Any]:
    """max(x, 0) at another scale.

    Args:
        x: Array of `dtype`, of any shape.
        input_scale: Of `x`.
        input_zero_point: Of `x`.
        output_scale: Of the result.
        output_zero_point: Of the result.
        dtype: "int8" or "int16", of `x` and of the result.

    Returns:
        Array of `dtype`, shaped like `x`.

    Example:
        >>> relu(np.array([-5, 5], np.int8), 0.5, 0, 0.5, -128).tolist()
        [-128, -123]
    """
    factor = _float32(input_scale) / _float32(output_scale)
    low, high = activation_range("RELU", output_scale, output_zero_point, dtype)
    clamped = _scale_and_clamp(x, input_zero_point, factor, output_zero_point, low, high)
    return clamped.astype(dtype)


def leaky_relu(
    x: NDArray[Any],
    alpha: float,
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    dtype: str = "int8",
) -> NDArray[Any]:
    """Leaves positive numbers alone and multiplies others by alpha, at another scale.

    Args:
        x: Array of `dtype`, of any shape.
        alpha: The slope of negative numbers, taken as float32; may itself be negative.
        input_scale: Of `x`.
        input_zero_point: Of `x`.
        output_scale: Of the result.
        output_zero_point: Of the result.
        dtype: "int8" or "int16", of `x` and of the result.

    Returns:
        Array of `dtype`, shaped like `x`.

    Example:
        >>> leaky_relu(np.array([-10, 10], np.int8), 0.1, 0.5, 0, 0.5, 0).tolist()
        [-1, 10]
    """
    identity = _float32(input_scale) / _float32(output_scale)
    slope = _float32(input_scale) * _float32(alpha) / _float32(output_scale)
    bounds = dtype_range(dtype)
    positive = _scale_and_clamp(x, input_zero_point, identity, output_zero_point, *bounds)
    negative = _scale_and_clamp(x, input_zero_point, slope, output_zero_point, *bounds)
    return np.where(x.astype(np.int64) >= input_zero_point, positive, negative).astype(dtype)


def _float32(value: float) -> float:
    """The value that a file keeps: rounded to float32, for arithmetic in float64."""
    return float(np.float32(value))


def _scale_and_clamp(
    x: NDArray[Any],
    input_zero_point: int,
    factor: float,
    output_zero_point: int,
    low: int,
    high: int,
) -> NDArray[np.int64]:
    """clamp((x - input_zero_point) * factor + output_zero_point), rounded as TFLM does."""
    multiplier, shift = quantize_multiplier(factor)
    # The kernels multiply by a magnitude and negate afterwards: ties mirror, they do not shift.
    sign = -1 if multiplier < 0 else 1
    centred = x.astype(np.int64) - input_zero_point
    scaled = sign * requantize(centred, abs(multiplier), shift).astype(np.int64)
    clamped: NDArray[np.int64] = np.clip(scaled + output_zero_point, low, high)
    return clamped
