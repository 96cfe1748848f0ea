"""MINIMUM: the smaller of two tensors that broadcast, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _extreme

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Minimum(_extreme.Extreme):
    """The smaller of a and b with numpy's broadcasting; int8 operands share their scale."""

    name: ClassVar[str] = "MINIMUM"

    def choose(self, a: Array, b: Array) -> Array:
        return np.where(a < b, a, b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        return torch.minimum(*tensors)

    kernels = _extreme.kernels("minimum")
