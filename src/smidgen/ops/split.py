"""SPLIT: a tensor taken apart along an axis into equal parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _split
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp, Types
from smidgen.ops.split_v import SplitV

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample


@dataclass(frozen=True)
class Split(_split.Splitting):
    """The operand along `axis` in `num_splits` equal parts; one result for each."""

    name: ClassVar[str] = "SPLIT"

    num_splits: int = 1
    axis: int = 0

    def parts(self, x: TensorType) -> tuple[int, ...]:
        size = self.size(x)
        if self.num_splits < 1 or size % self.num_splits:
            raise ValueError(f"axis {self.axis} of {x.shape} has no {self.num_splits} equal parts")
        return (size // self.num_splits,) * self.num_splits

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        """Parts that are no longer equal are those of a SPLIT_V."""
        sizes = tuple(t.shape[self.axis] for t in outputs)
        return self if len(set(sizes)) == 1 else SplitV(sizes, self.axis)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.options["num_splits"], node.axis(0, of=1)), (1,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        axis = np.array(self.axis, np.int32)
        return TfliteOp("SplitOptions", {"num_splits": self.num_splits}, (axis, 0))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int32": 3, "int16": 4}.get(types.dtype, 1)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            axis = draw(st.sampled_from((x.rank - 1, draw(st.integers(0, x.rank - 1)))))
            count = draw(st.integers(1, 5)) if axis else 1  # graph inputs have batch 1
            size = count * draw(st.integers(1, 9)) if axis else 1
            x = x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))
            return Sample(cls(count, axis), (Operand(x),), _split.quants(x, count))

        return draw_sample()
