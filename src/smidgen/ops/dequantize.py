"""DEQUANTIZE: integers to float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.affine import dequantize
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role
from smidgen.ops._unary import Unary, guard, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    quant = site.quant(0)
    return {"size": site.output.size, "zero_point": quant.zero_point, "scale": quant.scale}


def _overlap(site: Site) -> Mapping[int, int]:
    # Elements grow from one byte to four: the last one written before the last one is read ends
    # 3 bytes further on for each element.
    return {0: 3 * max(0, site.output.size - 1)}


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

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3, "float16": 3}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_dequantize_int8",
            "dequantize_int8.h",
            guard=guard("int8", "float32"),
            params=_params,
            arguments=(0,),
            overlap=_overlap,
        ),
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        def sample(shape: tuple[int, ...], quant: Any) -> Sample:
            return Sample(cls(), (Operand(TensorType(shape, "int8", quant)),))

        return st.builds(sample, _draw.shape(), _draw.quant(1e-5, 30.0))
