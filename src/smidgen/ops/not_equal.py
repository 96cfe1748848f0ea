"""NOT_EQUAL: whether a differs from b, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _comparison

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class NotEqual(_comparison.Comparison):
    """Whether a differs from b, with numpy's broadcasting."""

    name: ClassVar[str] = "NOT_EQUAL"
    options: ClassVar[str] = "NotEqualOptions"
    compared: ClassVar[tuple[str, ...]] = (*_comparison.DTYPES, "bool")

    def compare(self, a: Array, b: Array) -> Array:
        return np.not_equal(a, b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return a.ne(b)

    kernels = _comparison.kernels("not_equal", more=("bool",))
