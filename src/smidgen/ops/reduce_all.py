"""REDUCE_ALL: whether every element is true along some axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _reduce
from smidgen.ops._op import NodeTypes
from smidgen.ops._reduce_extreme import Extreme


@dataclass(frozen=True)
class ReduceAll(Extreme):
    """Whether every element is true along `axis`; see `_reduce.Reduction`."""

    name: ClassVar[str] = "REDUCE_ALL"
    reduce: ClassVar[Any] = np.all
    dtypes: ClassVar[tuple[str, ...]] = ("bool",)

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        axes = self.axes_of(tuple(x.shape))
        return x.all(axes, self.keep_dims) if axes else x

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = _reduce.extreme_kernels(-1)
