"""What ARG_MAX and ARG_MIN share: where along an axis the extreme element is, the first if several.

Indices are int32, which is what TensorFlow Lite Micro has, or int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    unsupported,
)
from smidgen.ops._order import Order, Permuted, without
from smidgen.ops._range import Range
from smidgen.ops._unary import one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
OUTPUT_TYPES = ("INT32", "INT64")


def _guard(dtype: str) -> Callable[[Site], str | None]:
    return lambda site: None if site.dtype == dtype else f"the elements are {site.dtype}"


def _loops(site: Site) -> dict[str, Param]:
    shape = site.input(0).shape
    axis: int = site.op.axis  # type: ignore[attr-defined]
    return {
        "outer": math.prod(shape[:axis]),
        "size": shape[axis],
        "inner": math.prod(shape[axis + 1 :]),
        "wide": int(site.output.dtype == "int64"),
    }


def kernels(sign: int) -> tuple[Kernel, ...]:
    """Kernels that find the greatest element (sign 1) or the least (sign -1)."""

    def int8_params(site: Site) -> Mapping[str, Param]:
        return {**_loops(site), "flip": 0 if sign > 0 else -1}

    def float_params(site: Site) -> Mapping[str, Param]:
        return {**_loops(site), "sign": float(sign)}

    return (
        Kernel("sm_arg_max_int8", "arg_max_int8.h", guard=_guard("int8"), params=int8_params),
        Kernel(
            "sm_arg_max_float32", "arg_max_float32.h", guard=_guard("float32"), params=float_params
        ),
    )


class Arg(Op):
    """An operator that finds an element along `axis`, which counts from 0."""

    axis: int
    output_type: str
    options: ClassVar[str]
    find: ClassVar[Any]  # a numpy function

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types)
        if not 0 <= self.axis < x.rank or not x.shape[self.axis]:
            raise ValueError(f"nothing is on axis {self.axis} of {x}")
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(f"output type {self.output_type} is not INT32 or INT64")
        shape = (*x.shape[: self.axis], *x.shape[self.axis + 1 :])
        return (TensorType(shape, self.output_type.lower()),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = replace(self, axis=order.index(self.axis))  # type: ignore[type-var]
        return Permuted(moved, (order,), (without(order, {self.axis}),))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        found = np.asarray(type(self).find(one(arrays), self.axis))
        return (found.astype(self.output_type.lower()),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return self.float_ref(*arrays)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Any position on the axis."""
        x, out = types.inputs[0], types.outputs[0]
        assert x is not None
        low = np.zeros(out.shape, out.dtype)
        return ((low, np.full(out.shape, x.shape[self.axis] - 1, out.dtype)),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), outputs=Role.INDEX)

    torch_lower = unsupported("an index has no gradient: it cannot be trained through")

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.axis(1), node.options["output_type"]), (0,)  # type: ignore[call-arg]

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        axis = np.array(self.axis, np.int32)
        return TfliteOp(self.options, {"output_type": self.output_type}, (0, axis))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless they are what is searched."""
        x = only(types)
        last = x.rank - 1
        if self.axis == last:
            return ()
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last - 1))),)

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            axis = draw(st.sampled_from((x.rank - 1, draw(st.integers(1, x.rank - 1)))))
            kind = draw(st.sampled_from(("INT32", *OUTPUT_TYPES)))
            return Sample(cls(axis, kind), (Operand(x),))  # type: ignore[call-arg]

        return draw_sample()
