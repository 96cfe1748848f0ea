"""CAST: numbers as they are, as another element type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._broadcast import overlap
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, QuantRule, Role, TfliteNode, TfliteOp
from smidgen.ops._unary import Unary, guard, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")


def _params(site: Site) -> Mapping[str, Param]:
    return {"size": site.output.size}


@dataclass(frozen=True)
class Cast(Unary):
    """The operand's numbers, not what they stand for, as `dtype`.

    Floats are rounded towards zero and limited to int32 (int64 if that is wanted), not-a-number is
    0; integers that are too large keep their low bits; true is 1, and whatever is not 0 is true.
    """

    name: ClassVar[str] = "CAST"
    options: ClassVar[str] = "CastOptions"
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8", "int16", "int32", "bool")

    dtype: str = "float32"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, self.dtypes)
        if self.dtype not in DTYPES:
            raise ValueError(f"casts to {self.dtype}, which is not among {', '.join(DTYPES)}")
        return (TensorType(x.shape, self.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        if x.dtype.kind != "f" or self.dtype in ("float32", "bool"):
            return (x.astype(self.dtype),)
        info = np.iinfo(np.int64 if self.dtype == "int64" else np.int32)
        # The float below 2^63 is 2^63 - 2^39: limits are tested, not converted.
        inside = (x >= np.float32(info.min)) & (x < -np.float32(info.min))
        whole = np.where(inside, x, 0).astype(np.int64)
        whole = np.where(x >= -np.float32(info.min), info.max, whole)
        return (np.where(x < np.float32(info.min), info.min, whole).astype(self.dtype),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        x, dtype = tensors[0], getattr(torch, self.dtype)
        if not x.is_floating_point() or self.dtype in ("float32", "bool"):
            return x.to(dtype)
        info = torch.iinfo(torch.int64 if self.dtype == "int64" else torch.int32)
        whole = x.nan_to_num(0.0).double().clamp(info.min, info.max).to(torch.int64)
        return whole.to(dtype)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return self.float_ref(*arrays)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.INDEX,), outputs=Role.INDEX)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.outputs[0].dtype), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"in_data_type": types.dtype.upper(), "out_data_type": self.dtype.upper()}
        return TfliteOp(self.options, fields, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = tuple(
        Kernel(
            f"sm_cast_{one}_{other}",
            "cast.h",
            guard=guard(one, other),
            params=_params,
            arguments=(0,),
            struct="sm_unary_params",
            overlap=overlap,
        )
        for one in DTYPES
        for other in DTYPES
    )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        def sample(shape: tuple[int, ...], one: str, other: str) -> Sample:
            return Sample(cls(other), (Operand(TensorType(shape, one)),))

        dtype = st.sampled_from(DTYPES)
        return st.builds(sample, _draw.shape(), dtype, dtype)
