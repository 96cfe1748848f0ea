"""SQUEEZE: a tensor without some of its axes of size 1. Costs nothing on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement, _renaming
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp, Types

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Squeeze(_renaming.Renaming):
    """The operand without the axes `squeeze_dims`, or without all of size 1 if that is empty."""

    name: ClassVar[str] = "SQUEEZE"

    squeeze_dims: tuple[int, ...] = ()

    def _goes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        rank = len(shape)
        if not self.squeeze_dims:
            return tuple(axis for axis, size in enumerate(shape) if size == 1)
        axes = tuple(axis + rank if axis < 0 else axis for axis in self.squeeze_dims)
        if any(not 0 <= axis < rank or shape[axis] != 1 for axis in axes):
            raise ValueError(f"not all axes {self.squeeze_dims} of {shape} have size 1")
        return axes

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        goes = self._goes(x.shape)
        shape = tuple(size for axis, size in enumerate(x.shape) if axis not in goes)
        return (TensorType(shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return 0 not in self._goes(_movement.the_operand(types).shape)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        return (x.squeeze(self._goes(x.shape)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return x.squeeze(self._goes(tuple(x.shape)))

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        """The same axes, named: one channel that is left must not be taken for one of them."""
        from smidgen.ops.reshape import Reshape

        x, out = _movement.the_operand(inputs), outputs[0]
        if self.squeeze_dims or self.infer(x)[0].shape == out.shape:
            return self
        named = tuple(axis for axis, size in enumerate(x.shape[:-1]) if size == 1)
        return Squeeze(named) if named else Reshape(out.shape)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        given = node.options["squeeze_dims"]
        return cls(() if given is None else tuple(int(axis) for axis in given)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        axes = np.array(self.squeeze_dims, np.int32)
        return TfliteOp("SqueezeOptions", {"squeeze_dims": axes}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            goes = draw(st.sets(st.integers(1, x.rank - 1), min_size=1))
            x = x.with_shape(tuple(1 if axis in goes else n for axis, n in enumerate(x.shape)))
            axes = tuple(axis - draw(st.sampled_from((0, x.rank))) for axis in sorted(goes))
            if draw(st.booleans()) and max(x.shape) > 1:  # all of them, the batch as well
                axes = ()
            return Sample(cls(axes), (Operand(x),), (x.quant,))

        return draw_sample()
