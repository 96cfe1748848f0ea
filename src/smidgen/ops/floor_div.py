"""FLOOR_DIV: a / b, rounded down, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ops import _arithmetic
from smidgen.ops._broadcast import pair_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from smidgen.ops._sample import Operand

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FloorDiv(_arithmetic.PlainArithmetic):
    """The largest whole number that is not above a / b; of an int32 number by 0 it is 0."""

    name: ClassVar[str] = "FLOOR_DIV"
    options: ClassVar[str] = "FloorDivOptions"
    sample_dtypes: ClassVar[tuple[str, ...]] = ("float32", "int32")

    def combine(self, a: Array, b: Array) -> Array:
        if a.dtype == np.int32:
            wide = a.astype(np.int64), np.where(b == 0, 1, b).astype(np.int64)
            return np.where(b == 0, 0, np.floor_divide(*wide))
        return np.floor(a / b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        a, b = tensors
        if a.is_floating_point():
            return (a / b).floor()
        safe = torch.where(b == 0, 1, b)
        return torch.where(b == 0, 0, torch.div(a, safe, rounding_mode="floor"))

    kernels = (pair_kernel("floor_div", "float32"), pair_kernel("floor_div", "int32"))

    @classmethod
    def draw_operands(cls, draw: DrawFn, dtypes: Any, quants: Any) -> list[Operand]:
        """The runtimes stop at a zero."""
        return _arithmetic.without_zeros(super().draw_operands(draw, dtypes, quants))
