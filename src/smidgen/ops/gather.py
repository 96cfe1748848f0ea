"""GATHER: slices of a tensor along an axis, in any order and number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smidgen.ir import TensorType
from smidgen.ops import _gather
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted, without

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample


@dataclass(frozen=True)
class Gather(_gather.Lookup):
    """The slices of operand 0 along `axis` that operand 1, int32 of any shape, names.

    The first `batch_dims` axes of both belong together. An index beyond the ends, which runtimes
    leave undefined, takes the slice at the end.
    """

    name: ClassVar[str] = "GATHER"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")

    axis: int = 0
    batch_dims: int = 0

    def where(self, *types: TensorType | None) -> tuple[int, int]:
        return self.axis, self.batch_dims

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """With one axis of indices, or none, as long as no batch comes before."""
        _, indices = self.operands(types)
        if self.batch_dims or indices.rank > 1:
            return None
        left = order if indices.rank else without(order, {self.axis})
        return Permuted(Gather(order.index(self.axis)), (order, None), (left,))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        axis, batch_dims = node.options["axis"], node.options["batch_dims"]
        table, indices = node.types
        assert table is not None
        assert indices is not None
        axis = axis + table.rank if axis < 0 else axis
        return cls(axis, batch_dims + indices.rank if batch_dims < 0 else batch_dims), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"axis": self.axis, "batch_dims": self.batch_dims}
        return TfliteOp("GatherOptions", fields, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        if self.batch_dims:
            return 5
        return {"int8": 2, "bool": 3, "int16": 4}.get(types.dtype, 1)

    kernels = (_gather.kernel(0),)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless they are what is looked up."""
        table = types[0]
        assert table is not None
        last = table.rank - 1
        if self.axis == last:
            return ()
        out = self.infer(*types)[0].rank - 1
        return (Coupling(table.shape[last], (AxisRef(0, last), AxisRef(-1, out))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(max_rank=3)))
            generator = draw(_draw.rng())
            kinds = ("embedding", "chosen", "both", "batch")
            kind = draw(st.sampled_from(kinds if x.rank > 1 else kinds[:3]))
            axis = draw(st.integers(0, x.rank - 1))
            batch_dims = 0
            more = tuple(draw(st.lists(st.integers(1, 5), max_size=2)))
            if kind == "embedding":  # constant rows, numbers at run time
                x = x.with_shape((draw(st.integers(2, 40)), *x.shape[1:]))
                axis, shape = 0, (1, *more)
            elif kind == "batch":
                batch_dims = draw(st.integers(1, x.rank - 1))
                axis = draw(st.integers(batch_dims, x.rank - 1))
                shape = (*x.shape[:batch_dims], *more)
            else:
                shape = (1, *more) if kind == "both" or not axis else (*more, 3)
            limits = (0, x.shape[axis] - 1)
            index = TensorType(shape, "int32")
            operands = [Operand(x), Operand(index, limits=limits)]
            if kind == "embedding":
                operands[0] = Operand(x, _draw.values(generator, x))
            elif kind == "chosen" or (kind == "batch" and draw(st.booleans())):
                operands[1] = Operand(index, _draw.values(generator, index, limits))
            return Sample(cls(axis, batch_dims), tuple(operands), (x.quant,))

        return draw_sample()
