"""SUB: the difference of two tensors that broadcast, then a fused activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _range, _sum

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sub(_sum.Sum):
    """a - b with numpy's broadcasting, then the fused activation."""

    name: ClassVar[str] = "SUB"
    options: ClassVar[str] = "SubOptions"
    sign: ClassVar[int] = -1
    int16_version: ClassVar[int] = 5

    def float_combine(self, a: Array, b: Array) -> Array:
        return a - b

    value_range = _range.corners
    kernels = _sum.kernels("sub")
