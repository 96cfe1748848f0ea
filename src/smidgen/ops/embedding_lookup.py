"""EMBEDDING_LOOKUP: rows of a table by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smidgen.ir import TensorType
from smidgen.ops import _gather
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample


@dataclass(frozen=True)
class EmbeddingLookup(_gather.Lookup):
    """The rows of operand 1 that operand 0, int32 of one axis, names.

    An index beyond the ends, at which runtimes give up, takes the row at the end.
    """

    name: ClassVar[str] = "EMBEDDING_LOOKUP"
    table: ClassVar[int] = 1

    def where(self, *types: TensorType | None) -> tuple[int, int]:
        return 0, 0

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("", {}, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = (_gather.kernel(1),)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """The channels of all rows."""
        table = types[1]
        assert table is not None
        last = table.rank - 1
        if not last:
            return ()
        return (Coupling(table.shape[last], (AxisRef(1, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            table = draw(_draw.tensor(_draw.shape(min_rank=2)))
            rows = draw(st.integers(2, 40))
            table = table.with_shape((rows, *table.shape[1:]))
            if table.quant is not None:  # what TFLM asks for
                table = table.with_quant(type(table.quant).per_tensor(table.quant.scale))
            data = _draw.values(draw(_draw.rng()), table)
            numbers = Operand(TensorType((1,), "int32"), limits=(0, rows - 1))
            return Sample(cls(), (numbers, Operand(table, data)), (table.quant,))

        return draw_sample()
