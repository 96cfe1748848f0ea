"""QUANTIZE: float32 to integers, or integers to another scale or dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.affine import quantize
from smidgen.numerics.lookup import INT8_VALUES
from smidgen.numerics.rectify import rescale
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, TfliteNode, Types
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


def _bytes_guard(site: Site) -> str | None:
    got = (site.dtype, site.output.dtype)
    return None if set(got) <= set(BYTES) else f"it turns bytes into bytes, not {got[0]} {got[1]}"


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

    dtypes: ClassVar[tuple[str, ...]] = ("float32", *BYTES)

    dtype: str = "int8"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, self.dtypes)
        if self.dtype not in BYTES:
            raise ValueError(f"quantizes to {self.dtype}, which is not among {', '.join(BYTES)}")
        return (TensorType(x.shape, self.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (one(arrays),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        if x.dtype == np.float32:
            return (quantize(x, types.scale(-1), types.zero_point(-1), self.dtype),)
        return (self.table(types)[x.view(np.uint8)].view(self.dtype),)

    def table(self, types: NodeTypes) -> Array:
        """The 256 answers as int8, whichever of the dtypes their bits stand for."""
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        every = INT8_VALUES.view(types.dtype)
        return rescale(every, *quants, dtype=self.dtype).view(np.int8)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype in BYTES:
            check_factor(types.scale(0) / types.scale(-1))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.outputs[0].dtype), (0,)

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

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
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape())
            if draw(st.booleans()):
                quant = draw(_draw.quant(1e-5, 30.0))
                return Sample(cls(), (Operand(TensorType(shape, "float32")),), (quant,))
            quant = draw(_draw.quant(1e-5, 30.0))
            operand = Operand(TensorType(shape, "int8", quant))
            return Sample(cls(), (operand,), (draw(draw_ratio(quant, 1e-3, 1e3)),))

        return draw_sample()
