"""ADD: the sum of two tensors that broadcast, then a fused activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _range, _sum
from smidgen.ops._op import NodeTypes
from smidgen.ops._range import Range

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Add(_sum.Sum):
    """a + b with numpy's broadcasting, then the fused activation."""

    name: ClassVar[str] = "ADD"
    options: ClassVar[str] = "AddOptions"
    sign: ClassVar[int] = 1
    int16_version: ClassVar[int] = 3

    def float_combine(self, a: Array, b: Array) -> Array:
        return a + b

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        if types.dtype == "int32":  # sums wrap around
            return (_range.unknown(types.outputs[0]),)
        return _range.monotone(self, types, *ranges)

    kernels = _sum.kernels("add")
