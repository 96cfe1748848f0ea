"""SPACE_TO_BATCH_ND: an image as several, each with one pixel of every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.ops import _batches, _movement
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SpaceToBatchNd(_batches.Batches):
    """(n, h, w, c) with a border of zeros, `paddings`, in blocks of `block_shape` pixels.

    Pixel (i, j) of every block goes to batch (i * block width + j) * n of the result. The same
    without h.
    """

    name: ClassVar[str] = "SPACE_TO_BATCH_ND"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")

    block_shape: tuple[int, ...] = ()
    paddings: _batches.Pairs = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = self.spatial(types, self.paddings)
        padded = [n + sum(p) for n, p in zip(x.shape[1:-1], self.paddings, strict=True)]
        if any(n % block for n, block in zip(padded, self.block_shape, strict=True)):
            raise ValueError(f"{padded} pixels are not made of blocks of {self.block_shape}")
        spatial = (n // block for n, block in zip(padded, self.block_shape, strict=True))
        batches = x.shape[0] * int(np.prod(self.block_shape))
        return (TensorType((batches, *spatial, x.shape[-1]), x.dtype),)

    def _moved(self, x: Array, value: int) -> Array:
        n, height, width, channels = _batches.image(x.shape)
        block_h, block_w = (1, *self.block_shape)[-2:]
        pairs = ((0, 0), (0, 0), *self.paddings)[-2:]
        padded = np.pad(
            x.reshape(n, height, width, channels),
            ((0, 0), *pairs, (0, 0)),
            constant_values=value,
        )
        _, h, w, _ = padded.shape
        apart = padded.reshape(n, h // block_h, block_h, w // block_w, block_w, channels)
        result: Array = apart.transpose(2, 4, 0, 1, 3, 5).reshape(
            -1, h // block_h, w // block_w, channels
        )
        return result if x.ndim == 4 else result[:, 0]

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (self._moved(_movement.the_array(arrays), 0),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        from torch.nn import functional

        (x,) = tensors
        n, height, width, channels = _batches.image(tuple(x.shape))
        block_h, block_w = (1, *self.block_shape)[-2:]
        (top, bottom), (left, right) = ((0, 0), (0, 0), *self.paddings)[-2:]
        padded = functional.pad(
            x.reshape(n, height, width, channels), (0, 0, left, right, top, bottom)
        )
        _, h, w, _ = padded.shape
        apart = padded.reshape(n, h // block_h, block_h, w // block_w, block_w, channels)
        result = apart.permute(2, 4, 0, 1, 3, 5).reshape(-1, h // block_h, w // block_w, channels)
        return result if x.dim() == 4 else result[:, 0]

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return (self._moved(_movement.the_array(arrays), types.zero_point(-1)),)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(*_batches.read(node, "paddings")), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        operands = _batches.written(self.block_shape, self.paddings)
        return TfliteOp("SpaceToBatchNDOptions", {}, operands)

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.block_shape) == 1:
            return 3
        return {"int8": 2, "int16": 4}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_space_to_batch_nd_bytes",
            "space_to_batch_nd_bytes.h",
            guard=_movement.guard,
            params=lambda site: _batches.params(site, site.op.paddings),  # type: ignore[attr-defined]
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
            if x.quant is not None and draw(st.booleans()):
                x = x.with_quant(QuantParams.per_tensor(x.quant.scale))
            blocks = draw(st.tuples(*[st.integers(1, 3)] * (x.rank - 2)))
            pairs = []
            for n, block in zip(x.shape[1:-1], blocks, strict=True):
                before = draw(st.integers(0, 4))
                after = -(n + before) % block + block * draw(st.integers(0, 1))
                pairs.append((before, after))
            return Sample(cls(blocks, tuple(pairs)), (Operand(x),), (x.quant,))

        return draw_sample()
