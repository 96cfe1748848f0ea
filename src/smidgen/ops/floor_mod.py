"""FLOOR_MOD: the remainder of a / b rounded down, element by element."""

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
class FloorMod(_arithmetic.PlainArithmetic):
    """What a / b rounded down leaves, with the sign of b; of an int32 number by 0 it is 0."""

    name: ClassVar[str] = "FLOOR_MOD"
    options: ClassVar[str] = "FloorModOptions"
    sample_dtypes: ClassVar[tuple[str, ...]] = ("float32", "int32")

    def combine(self, a: Array, b: Array) -> Array:
        if a.dtype == np.int32:
            wide = a.astype(np.int64), np.where(b == 0, 1, b).astype(np.int64)
            return np.where(b == 0, 0, np.mod(*wide))
        left = np.fmod(a, b)
        return np.where((left != 0) & ((b < 0) != (left < 0)), left + b, left)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        a, b = tensors
        if a.is_floating_point():
            return a.remainder(b)
        return torch.where(b == 0, 0, a.remainder(torch.where(b == 0, 1, b)))

    kernels = (pair_kernel("floor_mod", "float32"), pair_kernel("floor_mod", "int32"))

    @classmethod
    def draw_operands(cls, draw: DrawFn, dtypes: Any, quants: Any) -> list[Operand]:
        """The runtimes stop at a zero."""
        return _arithmetic.without_zeros(super().draw_operands(draw, dtypes, quants))
