"""Constants that stand for integers: the numbers of a quantized model, in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grid:
    """What a quantized constant was stored with; real = scale * (q - zero_point), q an int8.

    Args:
        scales: one, or one for each output channel, whichever axis that is.
        zero_points: as many.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]


class OnGrid(np.ndarray[Any, Any]):
    """A float32 array that knows the grid it lies on.

    It keeps it through transposes, reshapes and slices, and loses it in arithmetic. Whoever uses
    the grid checks that the numbers lie on it, so that no such movement can do harm.

    Example:
        >>> weights = on_grid(np.array([[3], [-4]], np.int8), [0.5, 2.0], [0, 0], axis=0)
        >>> weights.T.tolist(), weights.T.grid.scales
        ([[1.5, -8.0]], (0.5, 2.0))
    """

    grid: Grid | None

    def __array_finalize__(self, source: Any) -> None:
        self.grid = getattr(source, "grid", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, OnGrid) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)


def on_grid(integers: Array, scales: Any, zero_points: Any, axis: int | None = None) -> Array:
    """Quantized integers as the real numbers that they stand for.

    Args:
        integers: int8 or uint8 (then they are shifted, and their zero points with them), or
            int32, which are made plain floats: a bias has the scale of what it is added to.
        scales: one, or one for each position of `axis`.
        zero_points: as many, of the integers' type.
        axis: of per-channel scales.

    Returns:
        float32.
    """
    scale = np.asarray(scales, np.float32).reshape(-1)
    zero = np.asarray(zero_points).astype(np.int64).reshape(-1)
    shape = [1] * integers.ndim
    if axis is not None and scale.size > 1:
        shape[axis] = -1
    centred = integers.astype(np.int64) - zero.reshape(
        shape if zero.size > 1 else (1,) * len(shape)
    )
    real = centred.astype(np.float64) * scale.reshape(shape).astype(np.float64)
    # A product that float32 holds exactly but for its last bit, by which the integer is found.
    result = np.asarray(real.astype(np.float32)).reshape(integers.shape)
    if integers.dtype not in (np.int8, np.uint8):
        return result
    shift = 128 if integers.dtype == np.uint8 else 0
    tagged = result.view(OnGrid)
    tagged.grid = Grid(
        tuple(float(s) for s in scale),
        tuple(int(z) - shift for z in np.broadcast_to(zero, scale.shape)),
    )
    return tagged


def integers_of(data: Array, grid: Grid, axis: int | None) -> Array | None:
    """The int8 numbers that real ones stand for; None if they do not lie on the grid.

    Args:
        data: float32.
        grid: of the constant.
        axis: of per-channel scales.
    """
    scale, zero = np.array(grid.scales), np.array(grid.zero_points)
    if scale.size > 1:
        if axis is None or data.shape[axis] != scale.size:
            return None
        shape = [1] * data.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return None
    centred = np.rint(data / scale)
    if not np.allclose(centred * scale, data, rtol=1e-6, atol=0):
        return None
    q = centred + zero
    return q.astype(np.int8) if (np.abs(q + 0.5) < 128).all() else None
