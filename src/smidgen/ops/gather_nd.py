"""GATHER_ND: slices of a tensor, each found by its place on the first axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
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
)
from smidgen.ops._range import Range

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    x, indices = site.input(0), site.input(1)
    depth, item = indices.shape[-1], _movement.item_bytes(x)
    strides = _movement.strides(x.shape)[:depth]
    return {
        "count": math.prod(indices.shape[:-1]),
        "depth": depth,
        "bytes": math.prod(x.shape[depth:]) * item,
        "sizes": np.array(x.shape[:depth], np.int32),
        "strides": np.array(strides, np.int32) * item,
    }


@dataclass(frozen=True)
class GatherNd(_movement.Movement):
    """Of operand 0 the slice at each place that the last axis of operand 1, int32, names.

    An index beyond the ends of its axis, at which runtimes give up, stands for the end.
    """

    name: ClassVar[str] = "GATHER_ND"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if len(types) != 2:
            raise ValueError(f"takes a tensor and indices, got {len(types)} operands")
        x, indices = types
        assert x is not None
        assert indices is not None
        if indices.dtype != "int32" or not indices.rank:
            raise ValueError(f"indices are {indices}, not int32 with an axis")
        depth = indices.shape[-1]
        if not 1 <= depth <= x.rank or not x.size:
            raise ValueError(f"{depth} numbers name no place in {x.shape}")
        return (TensorType((*indices.shape[:-1], *x.shape[depth:]), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether it is a constant that slices are taken from: one with another batch than 1."""
        x, indices = types
        assert x is not None
        assert indices is not None
        return x.shape[0] != 1 and indices.rank > 1 and indices.shape[0] == 1

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, indices = arrays
        assert x is not None
        assert indices is not None
        places = np.clip(indices, 0, np.array(x.shape[: indices.shape[-1]]) - 1)
        return (x[tuple(np.moveaxis(places, -1, 0))],)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        x, indices = tensors
        last = torch.as_tensor(x.shape[: indices.shape[-1]], device=x.device) - 1
        places = indices.long().clamp(min=0).minimum(last)
        return x[tuple(places.movedim(-1, 0))]

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Indices that are not known reach every slice."""
        table, indices = ranges
        assert table is not None
        assert indices is not None
        (first, last), depth = indices, indices[0].shape[-1]
        if np.array_equal(first, last):
            return ((self.float_ref(table[0], first)[0], self.float_ref(table[1], first)[0]),)
        axes, out = tuple(range(depth)), types.outputs[0].shape
        low, high = table[0].min(axes), table[1].max(axes)
        return ((np.broadcast_to(low, out), np.broadcast_to(high, out)),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.INDEX), ties=((0, -1),))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("GatherNdOptions", {}, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int16": 3, "bool": 5}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_gather_nd_bytes",
            "gather_nd_bytes.h",
            guard=_movement.guard,
            params=_params,
            arguments=(0, 1),
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass if places do not name them."""
        x, indices = types
        assert x is not None
        assert indices is not None
        last = x.rank - 1
        if indices.shape[-1] > last:
            return ()
        out = self.infer(*types)[0].rank - 1
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, out))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(max_rank=3)))
            generator, depth = draw(_draw.rng()), draw(st.integers(1, x.rank))
            more = tuple(draw(st.lists(st.integers(1, 5), max_size=2)))
            if draw(st.booleans()):  # places at run time in a constant
                x = x.with_shape((draw(st.integers(2, 9)), *x.shape[1:]))
                index = TensorType((1, *more, depth), "int32")
                least = min(x.shape[:depth]) - 1
                table = Operand(x, _draw.values(generator, x))
                return Sample(cls(), (table, Operand(index, limits=(0, least))), (x.quant,))
            index = TensorType((1, *more, depth), "int32")
            places = generator.integers(0, x.shape[:depth], index.shape).astype(np.int32)
            return Sample(cls(), (Operand(x), Operand(index, places)), (x.quant,))

        return draw_sample()
