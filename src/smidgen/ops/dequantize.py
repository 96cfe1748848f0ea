"""DEQUANTIZE: integers to float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ir.types import ITEM_BITS
from smidgen.numerics.affine import dequantize
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role, unsupported
from smidgen.ops._unary import Unary, guard, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    quant = site.quant(0)
    return {"size": site.output.size, "zero_point": quant.zero_point, "scale": quant.scale}


def _overlap(site: Site) -> Mapping[int, int]:
    # Elements grow from one byte (or two) to four: the last one written before the last one is
    # read ends 3 bytes (2) further on for each element.
    growth = 4 - ITEM_BITS[site.dtype] // 8
    return {0: growth * max(0, site.output.size - 1)}


def _kernel(dtype: str) -> Kernel:
    return Kernel(
        f"sm_dequantize_{dtype}",
        f"dequantize_{dtype}.h",
        guard=guard(dtype, "float32"),
        params=_params,
        arguments=(0,),
        struct="sm_dequantize_params",
        overlap=_overlap,
    )


@dataclass(frozen=True)
class Dequantize(Unary):
    """The real numbers that integers stand for; float16 constants are only widened."""

    name: ClassVar[str] = "DEQUANTIZE"
    dtypes: ClassVar[tuple[str, ...]] = ("int8", "uint8", "int16", "float16")

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        return (TensorType(only(types, self.dtypes).shape, "float32"),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (one(arrays).astype(np.float32),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return (dequantize(one(arrays), types.scale(0), types.zero_point(0)),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), outputs=Role.INDEX)

    torch_lower = unsupported("integers do not train: quantize a model after it is trained")

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3, "float16": 3}.get(types.dtype, 1)

    kernels = tuple(map(_kernel, ("int8", "uint8", "int16")))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            kind = draw(st.sampled_from(("int8", "int8", "uint8", "int16")))
            quant = draw(_draw.quant(1e-5, 30.0, kind))
            return Sample(cls(), (Operand(TensorType(draw(_draw.shape()), kind, quant)),))

        return draw_sample()
