"""RELU_0_TO_1: min(max(x, 0), 1), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smidgen.ops._clamp import Clamp


@dataclass(frozen=True)
class Relu0To1(Clamp):
    """min(max(x, 0), 1); an int8 result may have another scale."""

    name: ClassVar[str] = "RELU_0_TO_1"
    low: ClassVar[float] = 0.0
    lower_bound_of: ClassVar[str] = "RELU"
