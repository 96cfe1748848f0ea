"""SUM: the sum over some axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.numerics.requantize import quantize_multiplier
from smidgen.ops import _reduce, _reduce_sum
from smidgen.ops._kernel import Kernel
from smidgen.ops._unary import one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sum(_reduce_sum.Scaled):
    """The sum over `axis`; negative axes count from the end, repeated ones count once.

    With `keep_dims` an axis that goes stays behind with size 1. Integers may change scale.
    """

    name: ClassVar[str] = "SUM"

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def factor(self, real: float, count: int) -> tuple[int, int]:
        return quantize_multiplier(real)

    def unit(self, count: int) -> float:
        return 1.0

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        axes = self.axes_of(x.shape)
        return (np.asarray(np.sum(x, axis=axes, dtype=np.float32, keepdims=self.keep_dims)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return x.sum(dim=self.axes_of(tuple(x.shape)), keepdim=self.keep_dims)

    kernels = (
        *_reduce_sum.INT8_KERNELS,
        Kernel(
            "sm_reduce_sum_float32",
            "reduce_sum_float32.h",
            guard=_reduce.loops_guard("float32"),
            params=_reduce.loop_params,
            overlap=lambda site: {0: 0},
        ),
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        return _reduce.draw_sample(cls, tied=False)
