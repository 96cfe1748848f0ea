"""CUMSUM: the sums of all elements up to each, along an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
    unsupported,
)
from smidgen.ops._order import Order, Permuted
from smidgen.ops._range import Range, unknown
from smidgen.ops._rows import RowWindow
from smidgen.ops._unary import Unary, guard, one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Cumsum)
    shape, axis = site.input(0).shape, site.op.axis
    return {
        "outer": math.prod(shape[:axis]),
        "size": shape[axis],
        "inner": math.prod(shape[axis + 1 :]),
        "exclusive": int(site.op.exclusive),
        "reverse": int(site.op.reverse),
    }


@dataclass(frozen=True)
class Cumsum(Unary):
    """Sums along `axis` of all elements up to each and with it, or without it if `exclusive`.

    With `reverse` they start at the end.
    """

    name: ClassVar[str] = "CUMSUM"
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)

    axis: int = 0
    exclusive: bool = False
    reverse: bool = False

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        (out,) = super().infer(*types)
        if not 0 <= self.axis < out.rank:
            raise ValueError(f"axis {self.axis} does not exist in {out}")
        return (out,)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        return {}

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = Cumsum(order.index(self.axis), self.exclusive, self.reverse)
        return Permuted(moved, (order,), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        along = np.flip(x, self.axis) if self.reverse else x
        sums = np.cumsum(along, self.axis, dtype=np.float32)
        if self.exclusive:
            sums = np.roll(sums, 1, self.axis)
            first = [slice(None)] * x.ndim
            first[self.axis] = slice(0, 1)
            sums[tuple(first)] = 0
        return (np.flip(sums, self.axis) if self.reverse else sums,)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        (x,) = tensors
        sums = (x.flip(self.axis) if self.reverse else x).cumsum(self.axis)
        if self.exclusive:
            rest = sums.narrow(self.axis, 0, x.shape[self.axis] - 1)
            first = torch.zeros_like(sums.narrow(self.axis, 0, 1))
            sums = torch.cat([first, rest], self.axis)
        return sums.flip(self.axis) if self.reverse else sums

    int_ref = unsupported(
        "TFLM's int8 kernel counts the zero point in, and LiteRT has none: it stays float"
    )

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        return (unknown(types.outputs[0]),)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.axis(1), node.options["exclusive"], node.options["reverse"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"exclusive": self.exclusive, "reverse": self.reverse}
        return TfliteOp("CumsumOptions", fields, (0, np.array(self.axis, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = (
        Kernel(
            "sm_cumsum_float32",
            "cumsum_float32.h",
            guard=guard("float32"),
            params=_params,
            arguments=(0,),
            overlap=lambda site: {0: 0},
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless they are what is added up."""
        (x,) = self.infer(*types)
        last = x.rank - 1
        if self.axis == last:
            return ()
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape(min_rank=2))
            axis = draw(st.integers(0, len(shape) - 1))
            op = cls(axis, draw(st.booleans()), draw(st.booleans()))
            return Sample(op, (Operand(TensorType(shape, "float32")),))

        return draw_sample()
