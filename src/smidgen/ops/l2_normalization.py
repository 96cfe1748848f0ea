"""L2_NORMALIZATION: rows of the last axis divided by their lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams
from smidgen.numerics.inverse_sqrt import l2_normalize_int8
from smidgen.ops._op import NodeTypes, Op, TfliteNode
from smidgen.ops._row_norm import RowNorm, row_kernel
from smidgen.ops._unary import one

Array = np.ndarray[Any, Any]

SHORTEST = np.float32(1e-6)  # length that rows are divided by


@dataclass(frozen=True)
class L2Normalization(RowNorm):
    """Rows of the last axis divided by their lengths; the int8 result has scale 1/128."""

    name: ClassVar[str] = "L2_NORMALIZATION"
    options: ClassVar[str] = "L2NormOptions"
    int8_output: ClassVar[QuantParams] = QuantParams.per_tensor(1 / 128, 0)
    longest: ClassVar[int] = (2**31 - 1) // 255**2

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        length = np.sqrt(np.square(x).sum(axis=-1, keepdims=True, dtype=np.float32))
        return ((x / np.maximum(length, SHORTEST)).astype(np.float32),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        return functional.normalize(tensors[0], dim=-1, eps=float(SHORTEST))

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return (l2_normalize_int8(one(arrays), types.zero_point(0)),)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        activation = node.options["fused_activation_function"]
        if activation != "NONE":
            raise UnsupportedModelError(
                f"fused activation {activation} has no kernel",
                hint="export the activation on its own",
            )
        return cls(), (0,)

    kernels = (
        row_kernel("l2_normalization", "int8", lambda site: {"offset": -site.quant(0).zero_point}),
        row_kernel("l2_normalization", "float32", lambda site: {}),
    )
