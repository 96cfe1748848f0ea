"""REDUCE_MAX: the greatest element along some axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _reduce
from smidgen.ops._reduce_extreme import Extreme


@dataclass(frozen=True)
class ReduceMax(Extreme):
    """The greatest element along `axis`, in the operand's scale; see `_reduce.Reduction`."""

    name: ClassVar[str] = "REDUCE_MAX"
    reduce: ClassVar[Any] = np.amax

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        axes = self.axes_of(tuple(x.shape))
        return x.amax(axes, self.keep_dims) if axes else x

    kernels = _reduce.extreme_kernels(1)
