"""TRANSPOSE: the axes in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._order import Order, Permuted, compose

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _walk(site: Site) -> _movement.Walk:
    op, x = site.op, site.input(0)
    assert isinstance(op, Transpose)
    strides = _movement.strides(x.shape)
    return _movement.Walk.over(
        site.output.shape, [strides[axis] for axis in op.perm], _movement.item_bytes(x)
    )


@dataclass(frozen=True)
class Transpose(_movement.Movement):
    """Axis `perm[i]` of the operand becomes axis i of the result."""

    name: ClassVar[str] = "TRANSPOSE"

    perm: tuple[int, ...] = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if sorted(self.perm) != list(range(x.rank)):
            raise ValueError(f"{self.perm} is no order of the {x.rank} axes of {x.shape}")
        return (TensorType(tuple(x.shape[axis] for axis in self.perm), x.dtype),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """The operand stays as it is, and another transpose puts the result in order."""
        return Permuted(Transpose(compose(self.perm, order)), (None,), (order,))

    def batchable(self, *types: TensorType | None) -> bool:
        return self.perm[:1] == (0,)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.ascontiguousarray(_movement.the_array(arrays).transpose(self.perm)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].permute(self.perm)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        perm = node.constant(1, "the order of the axes").ravel()
        return cls(tuple(int(axis) % max(1, perm.size) for axis in perm)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("TransposeOptions", {}, (0, np.array(self.perm, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.perm) > 4:
            return 6 if len(self.perm) > 5 else 4
        return {"bool": 3, "int8": 2, "int16": 5}.get(types.dtype, 1)

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = _movement.the_operand(types)
        return tuple(
            Coupling(x.shape[axis], (AxisRef(0, axis), AxisRef(-1, self.perm.index(axis))))
            for axis in range(1, x.rank)
        )

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(max_rank=5), "int16"))
            order = tuple(draw(st.permutations(range(x.rank))))
            if draw(st.booleans()):  # keep the batch in front, as models do
                order = (0, *(axis for axis in order if axis != 0))
            return Sample(cls(order), (Operand(x),), (x.quant,))

        return draw_sample()
