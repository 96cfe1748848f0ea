"""EXPAND_DIMS: a tensor with one more axis, of size 1. Costs nothing on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement, _renaming
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ExpandDims(_renaming.Renaming):
    """The operand with a new axis of size 1, number `axis` of the result."""

    name: ClassVar[str] = "EXPAND_DIMS"

    axis: int = 0

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if not 0 <= self.axis <= x.rank:
            raise ValueError(f"axis {self.axis} cannot be added to {x}")
        return (TensorType((*x.shape[: self.axis], 1, *x.shape[self.axis :]), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.expand_dims(_movement.the_array(arrays), self.axis),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return tensors[0].unsqueeze(self.axis)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.axis(1, more=1)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("ExpandDimsOptions", {}, (0, np.array(self.axis, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            return Sample(cls(draw(st.integers(0, x.rank))), (Operand(x),), (x.quant,))

        return draw_sample()
