"""SELECT_V2: elements of one tensor where a condition is true, of another elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._broadcast import MAX_RANK, Broadcast, arrays_of, loops, merged, one_dtype, overlap
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role
from smidgen.ops._range import Range

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "int32", "int64", "bool")


def _kernel(dtype: str) -> Kernel:
    def check(site: Site) -> str | None:
        if site.output.dtype != dtype:
            return f"it selects {dtype}, not {site.output.dtype}"
        if len(merged(site)) > MAX_RANK:
            return f"shapes that broadcast in more than {MAX_RANK} dimensions"
        return None

    def params(site: Site) -> Mapping[str, Param]:
        return loops(site)

    return Kernel(
        f"sm_select_v2_{dtype}",
        "select_v2.h",
        guard=check,
        params=params,
        arguments=(0, 1, 2),
        struct="sm_select_v2_params",
        overlap=overlap,
    )


@dataclass(frozen=True)
class SelectV2(Broadcast):
    """Where operand 0 is true operand 1, elsewhere operand 2; int8 operands share their scale."""

    name: ClassVar[str] = "SELECT_V2"
    arity: ClassVar[int] = 3
    options: ClassVar[str] = "SelectV2Options"

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        if dtypes[0] != "bool":
            raise ValueError(f"the condition is {dtypes[0]}, not bool")
        return one_dtype(dtypes[1:], DTYPES)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.where(*arrays_of(arrays)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        return torch.where(*tensors)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return self.float_ref(*arrays)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Of both operands, as the condition allows."""
        condition, a, b = (r for r in ranges if r is not None)
        always, perhaps = condition
        low, high = (
            np.where(always, x, np.where(perhaps, both(x, y), y))
            for x, y, both in zip(a, b, (np.minimum, np.maximum), strict=True)
        )
        return ((low, high),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.INDEX, Role.ACTIVATION, Role.ACTIVATION), ties=((1, 2, -1),))

    @classmethod
    def runs_on(cls, runtime: str, *types: TensorType | None) -> bool:
        known = types[1].dtype if len(types) > 1 and types[1] is not None else "int8"
        return runtime != "tflm" or known in ("float32", "int8")

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = tuple(map(_kernel, DTYPES))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            dtype = draw(st.sampled_from(("int8", "int8", "int8", *DTYPES)))
            quant = draw(_draw.quant()) if dtype == "int8" else None
            operands = cls.draw_operands(draw, ("bool", dtype, dtype), (None, quant, quant))
            return Sample(cls(), tuple(operands), (quant,))

        return draw_sample()
