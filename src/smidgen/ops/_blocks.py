"""What DEPTH_TO_SPACE and SPACE_TO_DEPTH share: blocks of pixels as channels of one pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


class Blocks(_movement.Movement):
    """An operator between images and blocks of `block_size` rows and columns of them."""

    block_size: int

    def image(self, types: tuple[TensorType | None, ...]) -> TensorType:
        """The operand's type.

        Raises:
            ValueError: if it is no image, or the blocks have no size.
        """
        x = _movement.the_operand(types)
        if x.rank != 4:
            raise ValueError(f"takes images (n, h, w, c), got shape {x.shape}")
        if self.block_size < 1:
            raise ValueError(f"blocks of size {self.block_size}")
        return x

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.options["block_size"]), (0,)  # type: ignore[call-arg]

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        table = f"{type(self).__name__}Options"
        return TfliteOp(table, {"block_size": self.block_size}, (0,))


def samples(cls: type[Any], *, blocks_in: bool) -> SearchStrategy[Sample]:
    """Samples with blocks of 1 to 4; `blocks_in` makes the image a whole number of them."""
    from hypothesis import strategies as st

    from smidgen.ops import _draw
    from smidgen.ops._sample import Operand, Sample

    @st.composite
    def draw(draw: st.DrawFn) -> Sample:
        block = draw(st.integers(1, 4))
        height, width, channels = draw(st.tuples(*[st.integers(1, 7)] * 3))
        shape = (1, height, width, channels * block * block)
        if blocks_in:
            shape = (1, height * block, width * block, channels)
        x = draw(_draw.tensor(st.just(shape)))
        return Sample(cls(block), (Operand(x),), (x.quant,))

    return draw()
