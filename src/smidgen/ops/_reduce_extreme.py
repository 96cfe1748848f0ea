"""What REDUCE_MAX and REDUCE_MIN share, and REDUCE_ANY and REDUCE_ALL of truth values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._op import NodeTypes, QuantRule, Role
from smidgen.ops._range import monotone
from smidgen.ops._reduce import Reduction, draw_sample
from smidgen.ops._unary import one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


class Extreme(Reduction):
    """A reduction whose result is one of the elements."""

    reduce: ClassVar[Any]  # a numpy function

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        axes = self.axes_of(x.shape)
        return (np.asarray(type(self).reduce(x, axis=axes, keepdims=self.keep_dims)),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return self.float_ref(*arrays)

    value_range = monotone

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), ties=((0, -1),))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        return draw_sample(cls, tied=True, dtypes=("bool",) if "bool" in cls.dtypes else ())
