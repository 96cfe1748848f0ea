"""REDUCE_PROD: the product over some axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _reduce
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import NodeTypes, QuantRule, Role, unsupported
from smidgen.ops._unary import one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ReduceProd(_reduce.Reduction):
    """The product over `axis`; see `_reduce.Reduction`."""

    name: ClassVar[str] = "REDUCE_PROD"
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ()
    order_matters: ClassVar[bool] = True

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        axes = self.axes_of(x.shape)
        with np.errstate(over="ignore", under="ignore"):
            product = np.prod(x, axis=axes, dtype=np.float32, keepdims=self.keep_dims)
        return (np.asarray(product),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        for axis in reversed(self.axes_of(tuple(x.shape))):
            x = x.prod(axis, self.keep_dims)
        return x

    int_ref = unsupported("a product of many integers has no scale that suits it")

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = (
        Kernel(
            "sm_reduce_prod_float32",
            "reduce_prod_float32.h",
            guard=_reduce.loops_guard("float32"),
            params=_reduce.loop_params,
            overlap=lambda site: {0: 0},
        ),
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = (1, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
            keep_dims = draw(st.booleans())
            axes = draw(st.sets(st.integers(not keep_dims, len(shape) - 1), min_size=1, max_size=2))
            operand = Operand(TensorType(shape, "float32"))
            return Sample(cls(tuple(sorted(axes)), keep_dims), (operand,))

        return draw_sample()
