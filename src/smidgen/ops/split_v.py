"""SPLIT_V: a tensor taken apart along an axis into parts of given sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _split
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp, Types

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample


@dataclass(frozen=True)
class SplitV(_split.Splitting):
    """The operand along `axis` in parts of `size_splits` positions; one result for each."""

    name: ClassVar[str] = "SPLIT_V"

    size_splits: tuple[int, ...] = ()
    axis: int = 0

    def parts(self, x: TensorType) -> tuple[int, ...]:
        return self.size_splits

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        """Parts of the sizes that the results have now."""
        return replace(self, size_splits=tuple(t.shape[self.axis] for t in outputs))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        axis = node.axis(2)
        return cls(tuple(t.shape[axis] for t in node.outputs), axis), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"num_splits": len(self.size_splits)}
        sizes, axis = np.array(self.size_splits, np.int32), np.array(self.axis, np.int32)
        return TfliteOp("SplitVOptions", fields, (0, sizes, axis))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            axis = draw(st.sampled_from((x.rank - 1, draw(st.integers(0, x.rank - 1)))))
            sizes = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
            if axis == 0:  # graph inputs have batch 1
                sizes = (1,)
            x = x.with_shape((*x.shape[:axis], sum(sizes), *x.shape[axis + 1 :]))
            return Sample(cls(sizes, axis), (Operand(x),), _split.quants(x, len(sizes)))

        return draw_sample()
