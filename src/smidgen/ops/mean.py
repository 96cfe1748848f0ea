"""MEAN: the mean over some axes, such as height and width (global average pooling)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.numerics.average import mean_multiplier
from smidgen.ops import _reduce, _reduce_sum
from smidgen.ops._kernel import Kernel
from smidgen.ops._unary import one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mean(_reduce_sum.Scaled):
    """The mean over `axis`; negative axes count from the end, repeated ones count once.

    With `keep_dims` an axis that goes stays behind with size 1. Integers may change scale.
    """

    name: ClassVar[str] = "MEAN"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def factor(self, real: float, count: int) -> tuple[int, int]:
        return mean_multiplier(real, count)

    def unit(self, count: int) -> float:
        return 1 / count

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        axes = self.axes_of(x.shape)
        return (np.asarray(np.mean(x, axis=axes, dtype=np.float32, keepdims=self.keep_dims)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return x.mean(dim=self.axes_of(tuple(x.shape)), keepdim=self.keep_dims)

    kernels = (
        *_reduce_sum.INT8_KERNELS,
        _reduce_sum.INT16_KERNEL,
        Kernel(
            "sm_mean_float32",
            "mean_float32.h",
            guard=_reduce.loops_guard("float32"),
            params=_reduce.loop_params,
            overlap=lambda site: {0: 0},
        ),
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        kinds = ("int8", "int8", "int8", "float32", "int16")
        return _reduce.draw_sample(cls, tied=False, dtypes=kinds)
