"""QUANTIZE: float32 to integers, or integers to another scale or dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ir.types import ITEM_BITS
from smidgen.numerics.affine import dtype_range, quantize
from smidgen.numerics.lookup import INT8_VALUES
from smidgen.numerics.rectify import rescale
from smidgen.numerics.requantize import quantize_multiplier
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, TfliteNode, Types, unsupported
from smidgen.ops._unary import (
    TableUnary,
    check_factor,
    draw_ratio,
    guard,
    in_place,
    lookup_kernel,
    one,
    only,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

BYTES = ("int8", "uint8")
# What runtimes turn into what: all of it in LiteRT, all but what ends in uint8 from float32 or
# uint8 in TensorFlow Lite Micro.
CONVERSIONS = {
    "float32": ("int8", "int16", "uint8"),
    "int8": ("int8", "uint8", "int16", "int32"),
    "uint8": ("int8", "uint8"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}
_SIGNED = ("int8", "int16", "int32")


def _bytes_guard(site: Site) -> str | None:
    got = (site.dtype, site.output.dtype)
    return None if set(got) <= set(BYTES) else f"it turns bytes into bytes, not {got[0]} {got[1]}"


def _signed_guard(site: Site) -> str | None:
    got = (site.dtype, site.output.dtype)
    return None if set(got) <= set(_SIGNED) else f"it rescales integers, not {got[0]} {got[1]}"


def _divided_guard(site: Site) -> str | None:
    if site.dtype != "float32" or site.output.dtype not in ("int16", "uint8"):
        return f"it turns float32 into int16 or uint8, not {site.dtype} {site.output.dtype}"
    return None


def _item(dtype: str) -> int:
    return ITEM_BITS[dtype] // 8


def _limits(site: Site) -> dict[str, Param]:
    low, high = dtype_range(site.output.dtype)
    return {"low": low, "high": high, "output_item": _item(site.output.dtype)}


def _signed_params(site: Site) -> Mapping[str, Param]:
    multiplier, shift = quantize_multiplier(site.quant(0).scale / site.quant(-1).scale)
    return {
        "size": site.output.size,
        "input_item": _item(site.dtype),
        "input_offset": -site.quant(0).zero_point,
        "output_offset": site.quant(-1).zero_point,
        "multiplier": multiplier,
        "shift": shift,
        **_limits(site),
    }


def _signed_overlap(site: Site) -> Mapping[int, int]:
    # Elements that grow run ahead of those still to be read.
    growth = _item(site.output.dtype) - _item(site.dtype)
    return {0: max(0, growth) * max(0, site.output.size - 1)}


def _divided_params(site: Site) -> Mapping[str, Param]:
    quant = site.quant(-1)
    return {
        "size": site.output.size,
        "zero_point": quant.zero_point,
        "scale": quant.scale,
        **_limits(site),
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    quant = site.quant(-1)
    mantissa, exponent = math.frexp(1 / quant.scale)
    reciprocal, exponent = min(round(mantissa * 2**16), 2**16 - 1), 150 - exponent
    # Below 32 there are quotients of subnormal numbers, from 270 on not-a-number is a small one.
    ordinary = 32 <= exponent < 270
    return {
        "size": site.output.size,
        "zero_point": quant.zero_point,
        "reciprocal": reciprocal,
        "exponent": exponent if ordinary else 0,
        "scale": quant.scale,
    }


@dataclass(frozen=True)
class Quantize(TableUnary):
    """The operand's real numbers as integers of `dtype`, at the result's scale."""

    name: ClassVar[str] = "QUANTIZE"

    dtypes: ClassVar[tuple[str, ...]] = tuple(CONVERSIONS)
    any_zero_point: ClassVar[bool] = True

    dtype: str = "int8"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, self.dtypes)
        known = CONVERSIONS[x.dtype]
        if self.dtype not in known:
            raise ValueError(
                f"quantizes {x.dtype} to {self.dtype}, which is not among {', '.join(known)}"
            )
        return (TensorType(x.shape, self.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (one(arrays),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        if x.dtype == np.float32:
            return (quantize(x, types.scale(-1), types.zero_point(-1), self.dtype),)
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return (rescale(x, *quants, dtype=self.dtype),)

    def table(self, types: NodeTypes) -> Array:
        """The 256 answers as int8, whichever of the dtypes their bits stand for."""
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        every = INT8_VALUES.view(types.dtype)
        return rescale(every, *quants, dtype=self.dtype).view(np.int8)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "float32":
            return
        factor = types.scale(0) / types.scale(-1)
        check_factor(factor)
        if types.dtype == "int32" and (types.zero_point(0) or quantize_multiplier(factor)[1] > 0):
            raise ValueError("an int32 operand needs zero point 0 and a scale below the result's")

    torch_lower = unsupported("integers do not train: quantize a model after it is trained")

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.outputs[0].dtype), (0,)

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if self.dtype == "int16" else 1

    kernels = (
        lookup_kernel(_bytes_guard),
        Kernel(
            "sm_quantize_float32",
            "quantize_float32.h",
            guard=guard("float32", "int8"),
            params=_float_params,
            arguments=(0,),
            overlap=in_place,
        ),
        Kernel(
            "sm_quantize_divided",
            "quantize_divided.h",
            guard=_divided_guard,
            params=_divided_params,
            arguments=(0,),
            overlap=in_place,
        ),
        Kernel(
            "sm_quantize_integers",
            "quantize_integers.h",
            guard=_signed_guard,
            params=_signed_params,
            arguments=(0,),
            overlap=_signed_overlap,
        ),
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape())
            kind = draw(st.sampled_from(("float32", *CONVERSIONS)))
            to = draw(st.sampled_from(("int8", *CONVERSIONS[kind])))
            if kind == "float32":
                quant = draw(_draw.quant(1e-5, 30.0, to))
                return Sample(cls(to), (Operand(TensorType(shape, kind)),), (quant,))
            quant = draw(_draw.quant(1e-5, 30.0, kind))
            operand = Operand(TensorType(shape, kind, quant))
            if kind == "int32":  # a sum, whose scale is small
                ratio = _draw.quant(1.01 * quant.scale, 1e6 * quant.scale, to)
            else:
                ratio = draw_ratio(quant, 1e-3, 1e3, to)
            return Sample(cls(to), (operand,), (draw(ratio),))

        return draw_sample()
