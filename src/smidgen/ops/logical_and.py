"""LOGICAL_AND: whether both are true, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _range
from smidgen.ops._broadcast import pair_kernel
from smidgen.ops._logical import Logical

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LogicalAnd(Logical):
    """Whether both are true, with numpy's broadcasting."""

    name: ClassVar[str] = "LOGICAL_AND"
    options: ClassVar[str] = "LogicalAndOptions"

    def combine(self, a: Array, b: Array) -> Array:
        return a & b

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.logical_and(b)

    value_range = _range.monotone
    kernels = (pair_kernel("logical_and", "bool"),)
