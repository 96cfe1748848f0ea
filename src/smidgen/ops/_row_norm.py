"""What L2_NORMALIZATION and LOG_SOFTMAX share: each row of the last axis by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._order import Order, Permuted
from smidgen.ops._unary import guard, in_place, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8")


@dataclass(frozen=True)
class RowNorm(Op):
    """Base of the operators on rows of the last axis with a fixed int8 scale of the result."""

    options: ClassVar[str]
    int8_output: ClassVar[QuantParams]
    longest: ClassVar[int]  # int8 row

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, DTYPES)
        if not x.rank or not x.size:
            raise ValueError(f"shape {x.shape} has no last axis to sum over")
        if x.dtype == "int8" and x.shape[-1] > self.longest:
            raise ValueError(f"rows of {x.shape[-1]} int8 elements; {self.longest} is the limit")
        return (TensorType(x.shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return only(types, DTYPES).rank > 1

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Rows may lie in any order, the last axis stays the last."""
        return Permuted(self, (order,), (order,)) if order[-1] == len(order) - 1 else None

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), output={"int8": self.int8_output})

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp(self.options, {}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return ()  # every element of a row is made from all of them

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = TensorType(draw(_draw.shape()), draw(st.sampled_from(("int8", "int8", "float32"))))
            if x.dtype == "float32":
                return Sample(cls(), (Operand(x),))
            x = x.with_quant(draw(_draw.quant(1e-3, 2.0)))
            return Sample(cls(), (Operand(x),), (cls.int8_output,))

        return draw_sample()


def row_kernel(name: str, dtype: str, params: Callable[[Site], Mapping[str, Param]]) -> Kernel:
    """The kernel `sm_<name>_<dtype>`, which may work in place."""

    def all_params(site: Site) -> Mapping[str, Param]:
        x = site.input(0)
        return {"rows": x.size // x.shape[-1], "depth": x.shape[-1], **params(site)}

    return Kernel(
        f"sm_{name}_{dtype}",
        f"{name}_{dtype}.h",
        guard=guard(dtype),
        params=all_params,
        arguments=(0,),
        overlap=in_place,
    )
