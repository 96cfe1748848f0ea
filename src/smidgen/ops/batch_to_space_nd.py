"""BATCH_TO_SPACE_ND: several images as one, each the same pixel of every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _batches, _movement
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class BatchToSpaceNd(_batches.Batches):
    """What SPACE_TO_BATCH_ND takes apart in blocks of `block_shape`, but for a border, `crops`."""

    name: ClassVar[str] = "BATCH_TO_SPACE_ND"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")

    block_shape: tuple[int, ...] = ()
    crops: _batches.Pairs = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = self.spatial(types, self.crops)
        count = int(np.prod(self.block_shape))
        spatial = tuple(
            n * block - sum(crop)
            for n, block, crop in zip(x.shape[1:-1], self.block_shape, self.crops, strict=True)
        )
        if x.shape[0] % count or min(spatial) < 1:
            raise ValueError(f"{x.shape} in blocks of {self.block_shape} without {self.crops}")
        return (TensorType((x.shape[0] // count, *spatial, x.shape[-1]), x.dtype),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        count, h, w, channels = _batches.image(x.shape)
        block_h, block_w = (1, *self.block_shape)[-2:]
        n = count // (block_h * block_w)
        apart = x.reshape(block_h, block_w, n, h, w, channels).transpose(2, 3, 0, 4, 1, 5)
        whole = apart.reshape(n, h * block_h, w * block_w, channels)
        (top, bottom), (left, right) = ((0, 0), (0, 0), *self.crops)[-2:]
        cut = whole[:, top : h * block_h - bottom, left : w * block_w - right]
        return (cut if x.ndim == 4 else cut[:, 0],)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        count, h, w, channels = _batches.image(tuple(x.shape))
        block_h, block_w = (1, *self.block_shape)[-2:]
        n = count // (block_h * block_w)
        apart = x.reshape(block_h, block_w, n, h, w, channels).permute(2, 3, 0, 4, 1, 5)
        whole = apart.reshape(n, h * block_h, w * block_w, channels)
        (top, bottom), (left, right) = ((0, 0), (0, 0), *self.crops)[-2:]
        cut = whole[:, top : h * block_h - bottom, left : w * block_w - right]
        return cut if x.dim() == 4 else cut[:, 0]

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(*_batches.read(node, "crops")), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        operands = _batches.written(self.block_shape, self.crops)
        return TfliteOp("BatchToSpaceNDOptions", {}, operands)

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.block_shape) == 1:
            return 3
        return {"int8": 2, "int16": 4}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_batch_to_space_nd_bytes",
            "batch_to_space_nd_bytes.h",
            guard=_movement.guard,
            params=lambda site: _batches.params(site, site.op.crops),  # type: ignore[attr-defined]
            arguments=(0,),
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = _movement.the_operand(types)
        last = x.rank - 1
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=3)))
            blocks = draw(st.tuples(*[st.sampled_from((1, 2, 2, 3))] * (x.rank - 2)))
            pairs = []
            for n, block in zip(x.shape[1:-1], blocks, strict=True):
                before = draw(st.integers(0, min(4, n * block - 1)))
                pairs.append((before, draw(st.integers(0, min(4, n * block - 1 - before)))))
            x = x.with_shape((int(np.prod(blocks)), *x.shape[1:]))
            return Sample(cls(blocks, tuple(pairs)), (Operand(x),), (x.quant,))

        return draw_sample()
