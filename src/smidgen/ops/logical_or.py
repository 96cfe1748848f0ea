"""LOGICAL_OR: whether one of them is true, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _range
from smidgen.ops._broadcast import pair_kernel
from smidgen.ops._logical import Logical

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LogicalOr(Logical):
    """Whether one of them is true, with numpy's broadcasting."""

    name: ClassVar[str] = "LOGICAL_OR"
    options: ClassVar[str] = "LogicalOrOptions"

    def combine(self, a: Array, b: Array) -> Array:
        return a | b

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.logical_or(b)

    value_range = _range.monotone
    kernels = (pair_kernel("logical_or", "bool"),)
