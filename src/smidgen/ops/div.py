"""DIV: the quotient of two tensors that broadcast, then a fused activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.divide import divide, division_factor
from smidgen.ops import _arithmetic, _elementwise
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes, Types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from smidgen.ops._sample import Operand

Array = np.ndarray[Any, Any]


def _factor(types: NodeTypes) -> tuple[int, int]:
    return division_factor(types.scale(0), types.scale(1), types.scale(-1))


def _params(site: Site) -> Mapping[str, Param]:
    multiplier, shift = _factor(NodeTypes(site.inputs, site.outputs))
    return {"multiplier": multiplier, "shift": shift}


@dataclass(frozen=True)
class Div(_elementwise.Binary):
    """a / b with numpy's broadcasting, then the fused activation.

    An int8 result needs a scale far below that of a divided by that of b: at others the runtimes
    compute nonsense, and a model that has them is refused. int32 quotients are rounded towards
    zero, by 0 they are 0.
    """

    name: ClassVar[str] = "DIV"
    options: ClassVar[str] = "DivOptions"
    accepted: ClassVar[tuple[str, ...]] = ("float32", "int8")
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32", "int32")

    def float_combine(self, a: Array, b: Array) -> Array:
        with np.errstate(all="ignore"):  # of what is no number nothing else is expected
            if a.dtype != np.int32:
                return np.asarray(a / b)
            wide, by = a.astype(np.int64), np.where(b == 0, 1, b).astype(np.int64)
            towards_zero = np.sign(wide) * np.sign(by) * (np.abs(wide) // np.abs(by))
            return np.where(b == 0, 0, towards_zero).astype(np.int32)

    def torch_combine(self, a: Any, b: Any) -> Any:
        import torch

        if a.is_floating_point():
            return a / b
        by = torch.where(b == 0, 1, b)
        return torch.where(b == 0, 0, torch.div(a, by, rounding_mode="trunc"))

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        return divide(a, b, *_factor(types))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8":
            _factor(types)  # refuses scales at which the runtimes do not divide

    kernels = _elementwise.kernels("div", _params, "sm_div_int8_params")

    @classmethod
    def draw_quants(
        cls, draw: DrawFn, dtypes: Sequence[str]
    ) -> tuple[list[QuantParams | None], QuantParams | None]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        if dtypes[0] != "int8":
            return [None] * len(dtypes), None
        a, b = draw(_draw.quant()), draw(_draw.quant())
        out = a.scale / b.scale / draw(st.sampled_from((65.0, 80.0, 200.0, 1e4)))
        return [a, b], QuantParams.per_tensor(out, draw(_draw.zero_points()))

    @classmethod
    def draw_operands(cls, draw: DrawFn, dtypes: Any, quants: Any) -> list[Operand]:
        """The runtimes do not divide by zero."""
        return _arithmetic.without_zeros(super().draw_operands(draw, dtypes, quants))
