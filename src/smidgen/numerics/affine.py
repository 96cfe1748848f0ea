"""Real numbers to integers and back: real = scale * (q - zero_point)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DTYPE_RANGES: dict[str, tuple[int, int]] = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(1 << 31), (1 << 31) - 1),
}
"""Smallest and largest value of each dtype that can be quantized. int4 is held in int8."""

_CLAMPS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}


def dtype_range(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype.

    Raises:
        ValueError: If tensors of `dtype` cannot be quantized.

    Example:
        >>> dtype_range("int8")
        (-128, 127)
    """
    try:
        return DTYPE_RANGES[dtype]
    except KeyError:
        known = ", ".join(DTYPE_RANGES)
        raise ValueError(f"{dtype!r} is no quantized dtype; one of {known} is") from None


def round_half_away(x: ArrayLike) -> NDArray[np.float64]:
    """The nearest whole number, ties away from zero, like C's round().

    Args:
        x: float32 values, or float64 ones below 2^51.

    Returns:
        Whole numbers as float64.

    Example:
        >>> round_half_away([0.5, -2.5, 0.49999997]).tolist()
        [1.0, -3.0, 0.0]
    """
    value = np.asarray(x, np.float64)
    whole = np.trunc(value)
    # The fraction is exact; adding 0.5 before truncating would not be, just under a tie.
    return whole + np.where(np.abs(value - whole) >= 0.5, np.copysign(1.0, value), 0.0)


def quantize(
    real: ArrayLike, scale: ArrayLike, zero_point: ArrayLike, dtype: str
) -> NDArray[np.signedinteger[Any]]:
    """The integers nearest to real numbers.

    One float32 division, then rounding half away from zero, then clamping to `dtype`. Infinities
    clamp; not-a-number becomes the zero point.

    Args:
        real: Real numbers, taken as float32.
        scale: Positive, taken as float32; broadcastable with `real` for per-channel scales.
        zero_point: Within `dtype`; broadcastable with `real`.
        dtype: An integer dtype.

    Returns:
        Integers of `dtype` (int8 for "int4"), shaped like `real`.

    Example:
        >>> quantize([-1.0, 0.25, 100.0], 0.5, 3, "int8").tolist()
        [1, 4, 127]
    """
    low, high = dtype_range(dtype)
    # A tiny scale may carry the quotient to infinity, which clamps as it should.
    with np.errstate(over="ignore", invalid="ignore"):
        quotient = np.asarray(real, np.float32) / np.asarray(scale, np.float32)
        rounded = round_half_away(np.clip(quotient, -(2.0**40), 2.0**40))
    q = np.where(np.isnan(rounded), 0.0, rounded) + np.asarray(zero_point, np.float64)
    clamped: NDArray[np.signedinteger[Any]] = np.clip(q, low, high).astype(
        "int8" if dtype == "int4" else dtype
    )
    return clamped


def dequantize(q: ArrayLike, scale: ArrayLike, zero_point: ArrayLike) -> NDArray[np.float32]:
    """The real numbers that integers stand for.

    The product is exact in float64 and rounds once, to float32.

    Args:
        q: Integers.
        scale: Positive, taken as float32; broadcastable with `q`.
        zero_point: Broadcastable with `q`.

    Returns:
        float32 array shaped like `q`.

    Example:
        >>> dequantize([-128, 0], 0.5, -128).tolist()
        [0.0, 64.0]
    """
    difference = np.asarray(q, np.int64) - np.asarray(zero_point, np.int64)
    exact = np.asarray(scale, np.float32).astype(np.float64) * difference
    return exact.astype(np.float32)


def activation_range(activation: str, scale: float, zero_point: int, dtype: str) -> tuple[int, int]:
    """The integers between which a fused activation clamps its layer's output.

    Args:
        activation: "NONE", "RELU", "RELU_N1_TO_1" or "RELU6".
        scale: Of the output.
        zero_point: Of the output.
        dtype: Of the output.

    Returns:
        `(min, max)`, both inclusive.

    Raises:
        ValueError: If the activation is no clamp, or a bound overflows int32.

    Example:
        >>> activation_range("RELU6", 0.05, -128, "int8")
        (-128, -8)
    """
    low, high = dtype_range(dtype)
    if activation not in _CLAMPS:
        known = ", ".join(_CLAMPS)
        raise ValueError(f"activation {activation!r} is no clamp; one of {known} is")
    lower, upper = _CLAMPS[activation]
    if lower is not None:
        low = max(low, _quantize_bound(lower, scale, zero_point))
    if upper is not None:
        high = min(high, _quantize_bound(upper, scale, zero_point))
    return low, high


def _quantize_bound(bound: float, scale: float, zero_point: int) -> int:
    """The integer of a real bound, in float32 like the runtimes."""
    steps = float(round_half_away(np.float32(bound) / np.float32(scale)))
    if not -(2.0**31) <= steps < 2.0**31:
        raise ValueError(f"scale {scale} is too small to express an activation bound of {bound}")
    return zero_point + int(steps)
