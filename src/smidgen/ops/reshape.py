"""RESHAPE: the same elements in the same order under another shape. Costs nothing on a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _renaming
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp, Types

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reshape(_renaming.Renaming):
    """The operand under `new_shape`, whose dimensions are all known."""

    name: ClassVar[str] = "RESHAPE"

    new_shape: tuple[int, ...] = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        (x,) = types
        assert x is not None
        if any(d < 0 for d in self.new_shape) or math.prod(self.new_shape) != x.size:
            raise ValueError(f"{x.shape} has {x.size} elements, which do not fill {self.new_shape}")
        return (TensorType(self.new_shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        (x,) = types
        shape = self.infer(*types)[0].shape
        return x is not None and x.rank > 0 and len(shape) > 0 and x.shape[0] == shape[0] == 1

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        (x,) = arrays
        assert x is not None
        if math.prod(self.new_shape) == x.size:
            return (x.reshape(self.new_shape),)
        return (x.reshape(x.shape[0], *self.new_shape[1:]),)  # axis 0 is a widened batch

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        if math.prod(self.new_shape) == x.numel():
            return x.reshape(self.new_shape)
        return x.reshape(x.shape[0], *self.new_shape[1:])

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.outputs[0].shape), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        shape = np.array(types.outputs[0].shape, np.int32)
        return TfliteOp("ReshapeOptions", {"new_shape": shape}, (0, shape))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        """The shape that the output has now; a coupled axis is the last one of both."""
        return self if outputs[0].shape == self.new_shape else Reshape(outputs[0].shape)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape())
            kind = draw(_draw.dtype())
            quant = draw(_draw.quant()) if kind == "int8" else None
            size = math.prod(shape)
            divisor = draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
            new_shape = draw(
                st.sampled_from(
                    ((1, size), (1, divisor, size // divisor), (divisor, size // divisor))
                )
            )
            operand = Operand(TensorType(shape, kind, quant))
            return Sample(cls(new_shape), (operand,), (quant,))

        return draw_sample()
