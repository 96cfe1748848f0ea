"""Tensor types: shape, dtype and how integers map to real numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

# Every element type a graph may hold. int4 lives in an int8 array and takes half a byte in a file.
ITEM_BITS: dict[str, int] = {
    "float32": 32,
    "float16": 16,
    "int4": 4,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
    "bool": 8,
}


def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """The numpy dtype that holds elements of `dtype` (int4 is held in int8).

    Example:
        >>> numpy_dtype("int4")
        dtype('int8')
    """
    return np.dtype("int8" if dtype == "int4" else dtype)


@dataclass(frozen=True)
class QuantParams:
    """An affine mapping, real = scale * (q - zero_point), per tensor or per channel.

    Scales are float32 values (they are rounded to float32 on construction, as files store them).

    Args:
        scales: one positive scale, or one for each position of `axis`.
        zero_points: as many integers as there are scales.
        axis: the channel axis for per-channel parameters; None means per tensor.

    Example:
        >>> QuantParams.per_tensor(0.5, -128).scale
        0.5
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        scales = tuple(float(np.float32(s)) for s in self.scales)
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "zero_points", tuple(int(z) for z in self.zero_points))
        if len(scales) != len(self.zero_points) or not scales:
            raise ValueError(f"{len(scales)} scales but {len(self.zero_points)} zero points")
        if self.axis is None and len(scales) != 1:
            raise ValueError(f"{len(scales)} scales need an axis; per tensor takes exactly one")
        if not all(math.isfinite(s) and s > 0 for s in scales):
            raise ValueError("every scale must be positive and finite")

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> QuantParams:
        """One scale and zero point for the whole tensor."""
        return cls((scale,), (zero_point,))

    @classmethod
    def per_channel(cls, scales: np.ndarray | list[float], axis: int) -> QuantParams:
        """Symmetric parameters (zero point 0), one scale for each channel of `axis`."""
        values = tuple(float(s) for s in scales)
        return cls(values, (0,) * len(values), axis)

    @property
    def scale(self) -> float:
        """The scale of per-tensor parameters."""
        if self.axis is not None:
            raise ValueError("per-channel parameters have no single scale")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of per-tensor parameters (or the common one of all channels)."""
        if len(set(self.zero_points)) != 1:
            raise ValueError("the channels have different zero points")
        return self.zero_points[0]

    def __str__(self) -> str:
        if self.axis is None:
            return f"quant({self.scales[0]!r}, {self.zero_points[0]})"
        return f"quant({list(self.scales)!r}, {list(self.zero_points)!r}, axis={self.axis})"


@dataclass(frozen=True)
class TensorType:
    """Static shape, element type and, for quantized tensors, the affine mapping.

    Example:
        >>> t = TensorType((1, 32, 32, 3), "int8", QuantParams.per_tensor(1.0, -128))
        >>> t.bytes
        3072
    """

    shape: tuple[int, ...]
    dtype: str
    quant: QuantParams | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(d) for d in self.shape))
        if self.dtype not in ITEM_BITS:
            raise ValueError(f"dtype {self.dtype!r} is not one of {', '.join(ITEM_BITS)}")
        if any(d < 0 for d in self.shape):
            raise ValueError(f"shape {self.shape} has a negative dimension")

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes as stored (int4 packs two elements to a byte)."""
        return (self.size * ITEM_BITS[self.dtype] + 7) // 8

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def with_quant(self, quant: QuantParams | None) -> TensorType:
        """The same shape and dtype with other quantization parameters."""
        return replace(self, quant=quant)

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        """The same dtype and quantization with another shape."""
        return replace(self, shape=tuple(shape))

    def __str__(self) -> str:
        base = f"{self.dtype}[{','.join(map(str, self.shape))}]"
        return f"{base} {self.quant}" if self.quant else base
