"""LEAKY_RELU: x where it is positive, alpha * x elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.lookup import table_int8
from smidgen.numerics.rectify import leaky_relu
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp, Types
from smidgen.ops._unary import TableUnary, check_factor, float_kernel, lookup_kernel, one
from smidgen.ops.relu import rectify_kernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LeakyRelu(TableUnary):
    """x where it is positive, alpha * x elsewhere; alpha may be negative or above 1."""

    name: ClassVar[str] = "LEAKY_RELU"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")
    int8_version: ClassVar[int] = 1
    int16_version: ClassVar[int] = 2

    alpha: float = 0.0

    def __post_init__(self) -> None:
        # Files keep a float32; one value here and there.
        object.__setattr__(self, "alpha", float(np.float32(self.alpha)))

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if not math.isfinite(self.alpha):
            raise ValueError(f"alpha is {self.alpha}")
        return super().infer(*types)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        return (np.where(x > 0, x, x * np.float32(self.alpha)).astype(np.float32),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        return functional.leaky_relu(tensors[0], self.alpha)

    def table(self, types: NodeTypes) -> Array:
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return table_int8(lambda x: leaky_relu(x, self.alpha, *quants))

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        return leaky_relu(x, self.alpha, types.scale(0), 0, types.scale(-1), 0, "int16")

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype in ("int8", "int16"):
            check_factor(types.scale(0) / types.scale(-1))
            check_factor(types.scale(0) * self.alpha / types.scale(-1))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.options["alpha"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("LeakyReluOptions", {"alpha": self.alpha}, (0,))

    kernels = (
        lookup_kernel(),
        rectify_kernel(lambda op: op.alpha),  # type: ignore[attr-defined]
        float_kernel("leaky_relu", lambda site: {"alpha": site.op.alpha}),  # type: ignore[attr-defined]
    )

    @classmethod
    def draw_op(cls) -> SearchStrategy[Op]:
        from hypothesis import strategies as st

        usual = st.sampled_from((0.01, 0.1, 0.2, 0.3))
        odd = st.one_of(st.sampled_from((0.0, 1.0, -1.0)), st.floats(-4.0, 4.0, width=32))
        return st.one_of(usual, odd).map(cls)
