"""PAD: a border of zeros, which is the zero point of a quantized tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement, _pad
from smidgen.ops._kernel import Site
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pad(_pad.Padding):
    """`paddings[i]` zeros, (before, after), on axis i."""

    name: ClassVar[str] = "PAD"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        return self.padded(_movement.the_operand(types))

    def value(self, site: Site) -> float:
        return 0 if site.output.quant is None else site.output.quant.zero_point

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (np.pad(_movement.the_array(arrays), self.paddings),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return _pad.torch_pad(tensors[0], self.paddings, 0.0)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, value = _movement.the_array(arrays), types.zero_point(-1)
        return (np.pad(x, self.paddings, constant_values=value),)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(cls.read_paddings(node)), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("PadOptions", {}, (0, self.paddings_table()))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(), "int16"))
            return Sample(cls(draw(_pad.paddings(x.shape))), (Operand(x),), (x.quant,))

        return draw_sample()
