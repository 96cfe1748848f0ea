"""What the comparisons share: everything but what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.compare import comparable, comparison_factor
from smidgen.ops._broadcast import Broadcast, arrays_of, one_dtype, pair_kernel
from smidgen.ops._elementwise import table_kernels
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role, Types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from smidgen.ir import QuantParams

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "int32", "int64")


@dataclass(frozen=True)
class Comparison(Broadcast):
    """A truth value of each two numbers, whose scales may differ."""

    compared: ClassVar[tuple[str, ...]] = DTYPES
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32", "int32", "int64")

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        one_dtype(dtypes, self.compared)
        return "bool"

    def compare(self, a: Array, b: Array) -> Array:
        """Truth values of each two numbers."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (self.compare(*arrays_of(arrays)),)

    def trained(self, *types: TensorType | None) -> tuple[int, ...]:
        """None: no gradient passes a truth value."""
        return ()

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        a, b = (
            comparable(array, types.scale(i), types.zero_point(i))
            for i, array in enumerate(arrays_of(arrays))
        )
        return (self.compare(a, b),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION), outputs=Role.INDEX)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        for type in inputs:
            if type is not None and type.quant is not None:
                comparison_factor(type.quant.scale)  # refuses what the runtimes abort on

    @classmethod
    def draw_quants(
        cls, draw: DrawFn, dtypes: Sequence[str]
    ) -> tuple[list[QuantParams | None], QuantParams | None]:
        from smidgen.ops import _draw

        if dtypes[0] != "int8":
            return [None] * len(dtypes), None
        return [draw(_draw.quant(1e-3, 0.99)) for _ in dtypes], None

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1


def kernels(name: str, more: tuple[str, ...] = ()) -> tuple[Kernel, ...]:
    """The kernels of `name`, for the types that are always compared and for more."""

    def scales(site: Site) -> Mapping[str, Param]:
        fields: dict[str, Param] = {}
        for i, letter in enumerate("ab"):
            quant = site.quant(i)
            multiplier, shift = comparison_factor(quant.scale)
            fields[f"{letter}_offset"] = -quant.zero_point
            fields |= {f"{letter}_multiplier": multiplier, f"{letter}_shift": shift}
        return fields

    source = f"{name}.h"
    plain = [d for d in (*DTYPES, *more) if d != "int8"]
    return (
        *table_kernels("bool"),
        pair_kernel(
            name, "int8", "bool", source=source, struct="sm_compare_int8_params", params=scales
        ),
        *(pair_kernel(name, dtype, "bool", source=source) for dtype in plain),
    )
