"""SOFTMAX: e^(beta x) over the last axis, divided by its sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.softmax import (
    MAX_DEPTH,
    OUTPUT_SCALE,
    OUTPUT_ZERO_POINT,
    exp_table,
    min_input_scale,
    softmax_int8,
)
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Types,
)
from smidgen.ops._order import Order, Permuted
from smidgen.ops._unary import guard, in_place, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _beta(site: Site) -> float:
    assert isinstance(site.op, Softmax)
    return site.op.beta


def _rows(site: Site) -> dict[str, Param]:
    x = site.input(0)
    return {"rows": x.size // x.shape[-1], "depth": x.shape[-1]}


def _int8_params(site: Site) -> Mapping[str, Param]:
    table = exp_table(site.quant(0).scale, _beta(site))
    return {**_rows(site), "table_size": len(table), "table": table}


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax over the last axis; the int8 result has scale 1/256 and zero point -128."""

    name: ClassVar[str] = "SOFTMAX"

    beta: float = 1.0

    def __post_init__(self) -> None:
        # Files keep a float32; one value here and there.
        object.__setattr__(self, "beta", float(np.float32(self.beta)))

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types)
        if not x.rank or not x.size:
            raise ValueError(f"shape {x.shape} has no last axis to sum over")
        if x.dtype == "int8" and x.shape[-1] > MAX_DEPTH:
            raise ValueError(f"rows of {x.shape[-1]} int8 elements; {MAX_DEPTH} is the limit")
        if not (self.beta > 0 and math.isfinite(self.beta)):
            raise ValueError(f"beta is {self.beta}, not a positive number")
        return (TensorType(x.shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return only(types).rank > 1

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Rows may lie in any order, the last axis stays the last."""
        if order[-1] != len(order) - 1:
            return None
        return Permuted(self, (order, *[None] * (len(types) - 1)), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        e = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(self.beta))
        return ((e / e.sum(axis=-1, keepdims=True)).astype(np.float32),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        # Every runtime rounds as the fixed-point definition says, whatever `rounding` is.
        return (softmax_int8(one(arrays), types.scale(0), self.beta),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        output = {"int8": QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT)}
        return QuantRule((Role.ACTIVATION,), output=output)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and types.scale(0) <= min_input_scale(self.beta):
            least = min_input_scale(self.beta)
            raise ValueError(f"input scale {types.scale(0)} is not above {least:.3g}")

    def link(self) -> str:
        return "softmax" if self.beta == 1.0 else ""

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return (x * self.beta).softmax(dim=-1)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.options["beta"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("SoftmaxOptions", {"beta": self.beta}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_softmax_int8",
            "softmax_int8.h",
            guard=guard("int8"),
            params=_int8_params,
            arguments=(0,),
            overlap=in_place,
        ),
        Kernel(
            "sm_softmax_float32",
            "softmax_float32.h",
            guard=guard("float32"),
            params=lambda site: {**_rows(site), "beta": _beta(site)},
            arguments=(0,),
            overlap=in_place,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return ()  # without a channel the others would sum to one: another function

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            op = cls(draw(st.sampled_from((1.0, 1.0, 0.5, 1.7))))
            shape = draw(_draw.shape())
            if draw(_draw.dtype()) == "float32":
                return Sample(op, (Operand(TensorType(shape, "float32")),))
            operand = Operand(TensorType(shape, "int8", draw(_draw.quant(1e-5, 30.0))))
            output = QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT)
            return Sample(op, (operand,), (output,))

        return draw_sample()
