"""MAX_POOL_2D: the largest number of each channel in a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _pool, _torch
from smidgen.ops._activation import float_activation, int_bounds
from smidgen.ops._op import NodeTypes
from smidgen.ops._unary import one

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MaxPool2D(_pool.Pool):
    """Maxima over windows of (n, h, w, c), then the fused activation.

    Input and output share scale and zero point.
    """

    name: ClassVar[str] = "MAX_POOL_2D"

    def _largest(self, x: Array, lowest: float) -> Array:
        views = [view for _, _, view in self.window.taps(x, lowest)]
        return np.asarray(np.maximum.reduce(views))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        return (float_activation(self._largest(x, -np.inf), self.fused_activation_function),)

    def torch_pool(self, x: Any, pads: tuple[tuple[int, int], tuple[int, int]]) -> Any:
        from torch.nn import functional

        bordered = _torch.with_border(_torch.channels_first(x), pads, -math.inf)
        return functional.max_pool2d(bordered, self.window.kernel, self.window.stride)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        largest = self._largest(x, np.iinfo(x.dtype).min)
        bounds = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        return (np.clip(largest, *bounds).astype(types.dtype),)

    kernels = _pool.kernels("sm_max_pool_2d")
