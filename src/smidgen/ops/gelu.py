"""GELU: x * P(normal < x), element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.numerics.tabulate import erfc, nearest
from smidgen.ops._function import TableFunction, unary_kernel
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._unary import lookup_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SQRT_2_OVER_PI = np.float32(np.sqrt(2 / np.pi))
MINUS_SQRT_HALF = np.float32(-np.sqrt(0.5))

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Gelu(TableFunction):
    """x times the normal distribution function of x, or its approximation by tanh."""

    name: ClassVar[str] = "GELU"
    options: ClassVar[str] = "GeluOptions"
    int8_version: ClassVar[int] = 2
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ()

    approximate: bool = False

    def apply(self, x: Array) -> Array:
        half = np.float32(0.5)
        if self.approximate:
            cubic = x + np.float32(0.044715) * x * x * x
            return half * x * (np.float32(1) + nearest(np.tanh)(SQRT_2_OVER_PI * cubic))
        return half * x * nearest(erfc)(x * MINUS_SQRT_HALF)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        return functional.gelu(tensors[0], approximate="tanh" if self.approximate else "none")

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(bool(node.options["approximate"])), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp(self.options, {"approximate": self.approximate}, (0,))

    kernels = (
        lookup_kernel(),
        unary_kernel("gelu", params=lambda site: {"approximate": int(site.op.approximate)}),  # type: ignore[attr-defined]
    )

    @classmethod
    def draw_op(cls) -> SearchStrategy[Op]:
        from hypothesis import strategies as st

        return st.booleans().map(cls)
