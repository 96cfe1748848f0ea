"""SOFTMAX: e^(beta x) over the last axis, divided by its sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics import softmax_int16
from smidgen.numerics.softmax import (
    MAX_DEPTH,
    OUTPUT_SCALE,
    OUTPUT_ZERO_POINT,
    WIDE_OUTPUT_SCALE,
    WIDE_OUTPUT_ZERO_POINT,
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
DTYPES = ("float32", "int8", "int16")


def _beta(site: Site) -> float:
    assert isinstance(site.op, Softmax)
    return site.op.beta


def _rows(site: Site) -> dict[str, Param]:
    x = site.input(0)
    return {"rows": x.size // x.shape[-1], "depth": x.shape[-1]}


def _int8_params(site: Site) -> Mapping[str, Param]:
    table = exp_table(site.quant(0).scale, _beta(site))
    return {**_rows(site), "table_size": len(table), "table": table}


def _int16_params(site: Site) -> Mapping[str, Param]:
    multiplier, shift = softmax_int16.multiplier(site.quant(0).scale, _beta(site))
    return {
        **_rows(site),
        "multiplier": multiplier,
        "shift": shift,
        "exponentials": softmax_int16.exp_table(),
        "reciprocals": softmax_int16.reciprocal_table(),
    }


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax over the last axis; the int8 result has scale 1/256 and zero point -128.

    Args:
        beta: what the input is multiplied by.
        dtype: "int16" for an int16 result of int8 elements (scale 1/65536, zero point -32768); ""
            for one of the input's element type.
    """

    name: ClassVar[str] = "SOFTMAX"

    any_zero_point: ClassVar[bool] = True

    beta: float = 1.0
    dtype: str = ""

    def __post_init__(self) -> None:
        # Files keep a float32; one value here and there.
        object.__setattr__(self, "beta", float(np.float32(self.beta)))

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, DTYPES)
        if not x.rank or not x.size:
            raise ValueError(f"shape {x.shape} has no last axis to sum over")
        longest = {"int8": MAX_DEPTH, "int16": softmax_int16.MAX_DEPTH}.get(x.dtype)
        if longest is not None and x.shape[-1] > longest:
            raise ValueError(f"rows of {x.shape[-1]} {x.dtype} elements; {longest} is the limit")
        if not (self.beta > 0 and math.isfinite(self.beta)):
            raise ValueError(f"beta is {self.beta}, not a positive number")
        if self.dtype and (x.dtype, self.dtype) != ("int8", "int16"):
            raise ValueError(f"no kernel makes {self.dtype} of {x.dtype}")
        return (TensorType(x.shape, self.dtype or x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return only(types, DTYPES).rank > 1

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
        if types.dtype == "int16":
            return (softmax_int16.softmax_int16(one(arrays), types.scale(0), self.beta),)
        bits = 16 if self.dtype else 8
        return (softmax_int8(one(arrays), types.scale(0), self.beta, bits=bits),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        output = {
            "int8": QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT),
            "int16": QuantParams.per_tensor(softmax_int16.OUTPUT_SCALE, 0),
        }
        if self.dtype:
            del output["int16"]  # any scale near enough will do
        return QuantRule((Role.ACTIVATION,), output=output)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and types.scale(0) <= min_input_scale(self.beta):
            least = min_input_scale(self.beta)
            raise ValueError(f"input scale {types.scale(0)} is not above {least:.3g}")
        if self.dtype:
            off = abs(types.scale(-1) / WIDE_OUTPUT_SCALE - 1)
            if off > 1e-3 or types.zero_point(-1) != WIDE_OUTPUT_ZERO_POINT:
                want = QuantParams.per_tensor(WIDE_OUTPUT_SCALE, WIDE_OUTPUT_ZERO_POINT)
                raise ValueError(f"output must have {want}, not {outputs[0].quant}")
        if types.dtype == "int16":
            if types.zero_point(0):
                raise ValueError("operand 0 is int16 with a zero point other than 0")
            softmax_int16.multiplier(types.scale(0), self.beta)  # refuses what is too large

    def link(self) -> str:
        return "softmax" if self.beta == 1.0 else ""

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return (x * self.beta).softmax(dim=-1)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        x, out = node.types[0] if node.types else None, node.outputs[0]
        wider = x is not None and (x.dtype, out.dtype) == ("int8", "int16")
        return cls(node.options["beta"], "int16" if wider else ""), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("SoftmaxOptions", {"beta": self.beta}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_softmax_int8_int16",
            "softmax_int8_int16.h",
            guard=lambda site: None if site.output.dtype != site.dtype else "makes int16 of int8",
            params=_int8_params,
            arguments=(0,),
            struct="sm_softmax_int8_params",
        ),
        Kernel(
            "sm_softmax_int8",
            "softmax_int8.h",
            guard=guard("int8"),
            params=_int8_params,
            arguments=(0,),
            overlap=in_place,
        ),
        Kernel(
            "sm_softmax_int16",
            "softmax_int16.h",
            guard=guard("int16"),
            params=_int16_params,
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
            kind = draw(_draw.dtype("int16"))
            if kind == "float32":
                return Sample(op, (Operand(TensorType(shape, kind)),))
            if kind == "int16":
                operand = Operand(TensorType(shape, kind, draw(_draw.quant(1e-6, 2.0, kind))))
                return Sample(op, (operand,), (QuantParams.per_tensor(softmax_int16.OUTPUT_SCALE),))
            operand = Operand(TensorType(shape, "int8", draw(_draw.quant(1e-5, 30.0))))
            output = QuantParams.per_tensor(OUTPUT_SCALE, OUTPUT_ZERO_POINT)
            if draw(st.integers(0, 3)) == 0:
                op = cls(op.beta, "int16")
                output = QuantParams.per_tensor(WIDE_OUTPUT_SCALE, WIDE_OUTPUT_ZERO_POINT)
            return Sample(op, (operand,), (output,))

        return draw_sample()
