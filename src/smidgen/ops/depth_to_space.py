"""DEPTH_TO_SPACE: the channels of each pixel as a block of pixels with fewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _blocks, _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _walk(site: Site) -> _movement.Walk:
    assert isinstance(site.op, DepthToSpace)
    block, channels = site.op.block_size, site.output.shape[3]
    n, h, w, depth = site.input(0).shape
    sizes = (n, h, block, w, block, channels)
    strides = (h * w * depth, w * depth, block * channels, depth, channels, 1)
    return _movement.Walk.over(sizes, strides, _movement.item_bytes(site.output))


@dataclass(frozen=True)
class DepthToSpace(_blocks.Blocks):
    """(n, h, w, b * b * c) as (n, h * b, w * b, c): each pixel is a block of b x b, rows first."""

    name: ClassVar[str] = "DEPTH_TO_SPACE"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8", "int32", "int64")

    block_size: int = 1

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x, block = self.image(types), self.block_size
        n, h, w, depth = x.shape
        if depth % (block * block):
            raise ValueError(f"{depth} channels do not make blocks of {block} x {block}")
        return (TensorType((n, h * block, w * block, depth // (block * block)), x.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, block = _movement.the_array(arrays), self.block_size
        n, h, w, depth = x.shape
        apart = x.reshape(n, h, w, block, block, depth // (block * block))
        return (apart.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, -1),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, block = tensors[0], self.block_size
        n, h, w, depth = x.shape
        apart = x.reshape(n, h, w, block, block, depth // (block * block))
        return apart.permute(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, -1)

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """A channel is one of each pixel of a block."""
        out = self.infer(*types)[0].shape[3]
        blocks = AxisRef(0, 3, period=out, tiles=self.block_size**2)
        return (Coupling(out, (blocks, AxisRef(-1, 3))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        return _blocks.samples(cls, blocks_in=False)
