"""AVERAGE_POOL_2D: the mean of each channel over a window; the border is not counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.numerics.average import rounded_quotient
from smidgen.ops import _pool, _torch
from smidgen.ops._activation import float_activation, int_bounds
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import one

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class AveragePool2D(_pool.Pool):
    """Means over windows of (n, h, w, c), then the fused activation.

    Integers are averaged as they are: input and output share scale and zero point.
    """

    name: ClassVar[str] = "AVERAGE_POOL_2D"
    dtypes: ClassVar[tuple[str, ...]] = (*_pool.Pool.dtypes, "uint8")
    shifts: ClassVar[bool] = False  # ties go up where numbers have no sign

    def _sums(self, x: Array) -> tuple[Array, Array]:
        """Sums over windows (n, out_h, out_w, c), and their sizes (1, out_h, out_w, 1)."""
        inside = np.ones((1, *x.shape[1:3], 1), np.int32)
        sums, counts = (sum(view for _, _, view in self.window.taps(a, 0)) for a in (x, inside))
        return np.asarray(sums), np.asarray(counts)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        sums, counts = self._sums(x)
        return (float_activation(sums / counts.astype(np.float32), self.fused_activation_function),)

    def torch_pool(self, x: Any, pads: tuple[tuple[int, int], tuple[int, int]]) -> Any:
        from torch.nn import functional

        kernel, stride = self.window.kernel, self.window.stride
        image = _torch.with_border(_torch.channels_first(x), pads, 0.0)
        means = functional.avg_pool2d(image, kernel, stride)
        if not any(p for pair in pads for p in pair):
            return means
        # The border is not counted: divide by the part of each window that lies inside.
        inside = _torch.with_border(_torch.channels_first(x[:1, :, :, :1] * 0 + 1), pads, 0.0)
        return means / functional.avg_pool2d(inside, kernel, stride)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        means = rounded_quotient(*self._sums(x.astype(np.int32)))
        bounds = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        return (np.clip(means, *bounds).astype(types.dtype),)

    kernels = (
        *_pool.kernels("sm_average_pool_2d", most=256),  # sums in 16 bits
        _pool.byte_kernel("sm_average_pool_2d"),
    )
