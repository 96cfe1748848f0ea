"""DYNAMIC_UPDATE_SLICE: a tensor with a block of another one in its place."""

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
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._range import Range, hull

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._op import Coupling
    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    x, update = site.input(0), site.input(1)
    item = _movement.item_bytes(x)
    return {
        "bytes": x.bytes,
        "axes": x.rank,
        "runs": math.prod(update.shape[:-1]),
        "run": update.shape[-1] * item,
        "sizes": np.array(update.shape, np.int32),
        "room": np.array(x.shape, np.int32) - np.array(update.shape, np.int32),
        "strides": np.array(_movement.strides(x.shape), np.int32) * item,
    }


@dataclass(frozen=True)
class DynamicUpdateSlice(_movement.Movement):
    """Operand 0 with operand 1 from the place on that operand 2, int32, names.

    Where the block would reach beyond an end it is moved back.
    """

    name: ClassVar[str] = "DYNAMIC_UPDATE_SLICE"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if len(types) != 3 or any(t is None for t in types):
            raise ValueError(f"takes a tensor, a block and a place, got {len(types)} operands")
        x, update, place = (t for t in types if t is not None)
        if x.dtype != update.dtype or x.rank != update.rank or not x.rank:
            raise ValueError(f"{update} is no block of {x}")
        if any(not 1 <= n <= m for n, m in zip(update.shape, x.shape, strict=True)):
            raise ValueError(f"a block of {update.shape} does not fit into {x.shape}")
        if (place.dtype, place.shape) != ("int32", (x.rank,)):
            raise ValueError(f"the place is {place}, not int32[{x.rank}]")
        return (TensorType(x.shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return False

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, update, place = arrays
        assert x is not None
        assert update is not None
        assert place is not None
        first = np.clip(place, 0, np.subtract(x.shape, update.shape))
        result = x.copy()
        block = (slice(a, a + n) for a, n in zip(first.tolist(), update.shape, strict=True))
        result[tuple(block)] = update
        return (result,)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, update, place = tensors
        first = np.clip(place.tolist(), 0, np.subtract(x.shape, update.shape)).tolist()
        result = x.clone()
        result[tuple(slice(a, a + n) for a, n in zip(first, update.shape, strict=True))] = update
        return result

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """A block at an unknown place may be anywhere."""
        x, update, place = ranges
        assert x is not None
        assert update is not None
        assert place is not None
        if np.array_equal(*place):
            low, high = (self.float_ref(a, b, place[0])[0] for a, b in zip(x, update, strict=True))
            return ((low, high),)
        low, high = update[0].min(), update[1].max()
        return (hull(x, (np.full_like(x[0], low), np.full_like(x[1], high))),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        roles = (Role.ACTIVATION, Role.ACTIVATION, Role.INDEX)
        return QuantRule(roles, ties=((0, 1, -1),))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(), (0, 1, 2)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("DynamicUpdateSliceOptions", {}, (0, 1, 2))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = (
        Kernel(
            "sm_dynamic_update_slice_bytes",
            "dynamic_update_slice_bytes.h",
            guard=_movement.guard,
            params=_params,
            arguments=(0, 1, 2),
            overlap=lambda site: {0: 0} if site.constants[0] is None else {},
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """None: the place may name channels."""
        return ()

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            sizes = tuple(draw(st.integers(1, n)) for n in x.shape)
            place = np.array([draw(st.integers(-2, n + 1)) for n in x.shape], np.int32)
            where = Operand(TensorType((x.rank,), "int32"), place)
            return Sample(cls(), (Operand(x), Operand(x.with_shape(sizes)), where), (x.quant,))

        return draw_sample()
