"""EQUAL: whether a = b, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _comparison

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Equal(_comparison.Comparison):
    """Whether a = b, with numpy's broadcasting."""

    name: ClassVar[str] = "EQUAL"
    options: ClassVar[str] = "EqualOptions"
    compared: ClassVar[tuple[str, ...]] = (*_comparison.DTYPES, "bool")

    def compare(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.eq(b)

    kernels = _comparison.kernels("equal", more=("bool",))
