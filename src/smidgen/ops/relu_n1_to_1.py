"""RELU_N1_TO_1: min(max(x, -1), 1), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smidgen.ops._clamp import Clamp


@dataclass(frozen=True)
class ReluN1To1(Clamp):
    """min(max(x, -1), 1); an int8 result may have another scale."""

    name: ClassVar[str] = "RELU_N1_TO_1"
    low: ClassVar[float] = -1.0
    lower_bound_of: ClassVar[str] = "RELU_N1_TO_1"
