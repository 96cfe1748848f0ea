"""What SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND share: the pixels of a block in a batch each.

TensorFlow writes a dilated convolution as the two around a plain one; a rewrite undoes that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.ir import TensorType, numpy_dtype
from smidgen.ops import _movement
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import TfliteNode

Array = np.ndarray[Any, Any]
Pairs = tuple[tuple[int, int], ...]


class Batches(_movement.Movement):
    """An operator on images (n, h, w, c) or lines (n, w, c)."""

    block_shape: tuple[int, ...]

    def spatial(self, types: tuple[TensorType | None, ...], pairs: Pairs) -> TensorType:
        """The operand's type.

        Raises:
            ValueError: if it, the blocks and the borders do not fit together.
        """
        x = _movement.the_operand(types)
        if x.rank not in (3, 4) or not len(self.block_shape) == len(pairs) == x.rank - 2:
            raise ValueError(f"blocks {self.block_shape}, borders {pairs} of shape {x.shape}")
        if min(self.block_shape) < 1 or any(n < 0 for pair in pairs for n in pair):
            raise ValueError(f"blocks {self.block_shape} or borders {pairs} are negative")
        return x

    def batchable(self, *types: TensorType | None) -> bool:
        return False


def image(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A line is an image of one row."""
    n, *spatial, channels = shape
    height, width = (1, *spatial)[-2:]
    return n, height, width, channels


def params(site: Site, pairs: Pairs) -> Mapping[str, Param]:
    """Fields of the kernels' structs: `pairs` are the borders."""
    assert isinstance(site.op, Batches)
    _, in_h, in_w, channels = image(site.input(0).shape)
    batches, out_h, out_w, _ = image(site.output.shape)
    block_h, block_w = (1, *site.op.block_shape)[-2:]
    quant = site.output.quant
    value = np.array(0 if quant is None else quant.zero_point, numpy_dtype(site.dtype)).tobytes()
    return {
        "batches": min(batches, site.input(0).shape[0]),
        "in_h": in_h,
        "in_w": in_w,
        "out_h": out_h,
        "out_w": out_w,
        "pixel": channels * _movement.item_bytes(site.output),
        "block_h": block_h,
        "block_w": block_w,
        "top": ((0, 0), *pairs)[-2][0],
        "left": pairs[-1][0],
        "value": value[0],
    }


def read(node: TfliteNode, what: str) -> tuple[tuple[int, ...], Pairs]:
    """Blocks and borders of a file's node."""
    blocks = node.constant(1, "the block shape").ravel().tolist()
    table = node.constant(2, what).reshape(-1, 2).tolist()
    return tuple(map(int, blocks)), tuple((int(a), int(b)) for a, b in table)


def written(blocks: tuple[int, ...], pairs: Pairs) -> tuple[int | Array | None, ...]:
    """Operands of a file's node."""
    return 0, np.array(blocks, np.int32), np.array(pairs, np.int32).reshape(-1, 2)
