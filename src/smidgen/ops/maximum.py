"""MAXIMUM: the larger of two tensors that broadcast, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _extreme

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Maximum(_extreme.Extreme):
    """The larger of a and b with numpy's broadcasting; int8 operands share their scale."""

    name: ClassVar[str] = "MAXIMUM"

    def choose(self, a: Array, b: Array) -> Array:
        return np.where(a > b, a, b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        return torch.maximum(*tensors)

    kernels = _extreme.kernels("maximum")
