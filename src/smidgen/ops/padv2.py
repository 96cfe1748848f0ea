"""PADV2: a border of any value, which is the second operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _pad
from smidgen.ops._kernel import Site
from smidgen.ops._op import NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PadV2(_pad.Padding):
    """`paddings[i]` copies of a value, (before, after), on axis i. Operands: tensor, value."""

    name: ClassVar[str] = "PADV2"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if len(types) != 2 or types[0] is None or types[1] is None:
            raise ValueError("takes a tensor and the value to pad it with")
        x, value = types[0], types[1]
        if value.size != 1 or value.dtype != x.dtype:
            raise ValueError(f"the value to pad with must be one {x.dtype}, got {value}")
        return self.padded(x)

    def value(self, site: Site) -> float | None:
        data = site.constants[1]
        return None if data is None else data.item()

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, value = arrays
        assert x is not None and value is not None
        return (np.pad(x, self.paddings, constant_values=value.item()),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, value = tensors
        return _pad.torch_pad(x, self.paddings, value.item())

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(cls.read_paddings(node)), (0, 2)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("PadV2Options", {}, (0, self.paddings_table(), 1))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(), "int16"))
            value = TensorType(draw(st.sampled_from(((1,), ()))), x.dtype, x.quant)
            data = _draw.values(draw(_draw.rng()), value)
            if draw(st.booleans()):
                data = np.zeros_like(data)
            operands = (Operand(x), Operand(value, data))
            return Sample(cls(draw(_pad.paddings(x.shape))), operands, (x.quant,))

        return draw_sample()
