"""PRELU: x where it is positive, alpha * x elsewhere, with an alpha for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _arithmetic
from smidgen.ops._broadcast import pair_kernel
from smidgen.ops._elementwise import table_kernels
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, Types
from smidgen.ops._sample import Operand

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

Array = np.ndarray[Any, Any]
Factor = tuple[int, int]  # multiplier, shift

# Products of centred int8 numbers take 16 bits: larger factors would push them out of 32.
MAX_FACTOR = 2.0**14


def _reals(types: NodeTypes) -> tuple[float, float]:
    """The factors of positive numbers and of products with alpha."""
    x, alpha, out = (types.scale(i) for i in (0, 1, -1))
    return x / out, x * alpha / out


def _params(site: Site) -> Mapping[str, Param]:
    fields = dict(_arithmetic.offsets(site))
    reals = _reals(NodeTypes(site.inputs, site.outputs))
    for name, real in zip(("positive", "negative"), reals, strict=True):
        multiplier, shift = quantize_multiplier(real)
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields


@dataclass(frozen=True)
class Prelu(_arithmetic.Arithmetic):
    """x where it is positive, elsewhere x times operand 1, which broadcasts."""

    name: ClassVar[str] = "PRELU"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        (out,) = super().infer(*types)
        x = types[0]
        if x is None or x.shape != out.shape:
            raise ValueError(f"the slopes do not broadcast to the operand's shape: {out.shape}")
        return (out,)

    def combine(self, a: Array, b: Array) -> Array:
        return np.where(a >= 0, a, a * b)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        x, slope = tensors
        return torch.where(x >= 0, x, x * slope)

    def int_combine(self, types: NodeTypes, a: Array, b: Array) -> Array:
        positive, negative = (quantize_multiplier(real) for real in _reals(types))
        return np.where(
            a >= 0, requantize(np.maximum(a, 0), *positive), requantize(a * b, *negative)
        ).astype(np.int64)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and max(_reals(types)) > MAX_FACTOR:
            raise ValueError(
                f"the scales differ by a factor of {max(_reals(types)):.3g}; "
                f"{MAX_FACTOR:.0f} is the limit"
            )

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    @classmethod
    def draw_operands(cls, draw: DrawFn, dtypes: Any, quants: Any) -> list[Operand]:
        """The slopes are those that broadcast."""
        x, alpha = super().draw_operands(draw, dtypes, quants)
        if np.broadcast_shapes(x.type.shape, alpha.type.shape) == x.type.shape:
            return [x, alpha]
        shapes = alpha.type.shape, x.type.shape
        x = Operand(x.type.with_shape(np.broadcast_shapes(*shapes)))
        return [x, alpha]

    kernels = (
        *table_kernels(),
        pair_kernel("prelu", "int8", struct="sm_prelu_int8_params", params=_params),
        pair_kernel("prelu", "float32"),
    )
