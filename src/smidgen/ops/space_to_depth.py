"""SPACE_TO_DEPTH: each block of pixels as one pixel with more channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _blocks, _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes
from smidgen.ops._rows import RowWindow

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _walk(site: Site) -> _movement.Walk:
    assert isinstance(site.op, SpaceToDepth)
    block = site.op.block_size
    n, h, w, channels = site.input(0).shape
    line = w * channels
    sizes = (n, h // block, w // block, block, block * channels)
    strides = (h * line, block * line, block * channels, line, 1)
    return _movement.Walk.over(sizes, strides, _movement.item_bytes(site.output))


@dataclass(frozen=True)
class SpaceToDepth(_blocks.Blocks):
    """(n, h * b, w * b, c) as (n, h, w, b * b * c): a block of b x b is a pixel, rows first."""

    name: ClassVar[str] = "SPACE_TO_DEPTH"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8", "int32", "int64")

    block_size: int = 1

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x, block = self.image(types), self.block_size
        n, h, w, channels = x.shape
        if h % block or w % block:
            raise ValueError(f"{h} x {w} pixels are not made of blocks of {block} x {block}")
        return (TensorType((n, h // block, w // block, channels * block * block), x.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, block = _movement.the_array(arrays), self.block_size
        n, h, w, channels = x.shape
        apart = x.reshape(n, h // block, block, w // block, block, channels)
        return (apart.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, -1),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, block = tensors[0], self.block_size
        n, h, w, channels = x.shape
        apart = x.reshape(n, h // block, block, w // block, block, channels)
        return apart.permute(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, -1)

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        return {0: RowWindow(self.block_size, self.block_size)}

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """A channel is one of each pixel of a block."""
        size = self.image(types).shape[3]
        blocks = AxisRef(-1, 3, period=size, tiles=self.block_size**2)
        return (Coupling(size, (AxisRef(0, 3), blocks)),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        return _blocks.samples(cls, blocks_in=True)
