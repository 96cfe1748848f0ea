"""What operators share whose operands broadcast as in numpy: everything but the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ir.types import ITEM_BITS
from smidgen.ops import _rows
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
    Types,
)
from smidgen.ops._order import Order, Permuted
from smidgen.ops._rows import RowWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from smidgen.ir import QuantParams
    from smidgen.ops._sample import Operand, Sample

Array = np.ndarray[Any, Any]
MAX_RANK = 4  # dimensions that the kernels loop over
NAMES = "abc"  # of the operands in the kernels' parameter structs


@dataclass(frozen=True)
class Broadcast(Op):
    """Base of operators whose operands broadcast to the shape of the result.

    A subclass says what it computes of the elements, and its element types: `result_dtype`.
    """

    arity: ClassVar[int] = 2
    options: ClassVar[str] = ""
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32")

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        """The result's element type.

        Raises:
            ValueError: if operands of these types are not accepted.
        """
        raise NotImplementedError

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        operands = present(types, self.arity)
        dtype = self.result_dtype(tuple(t.dtype for t in operands))
        shapes = [t.shape for t in operands]
        try:
            return (TensorType(np.broadcast_shapes(*shapes), dtype),)
        except ValueError:
            listed = ", ".join(map(str, shapes[:-1])) + f" and {shapes[-1]}"
            raise ValueError(f"shapes {listed} do not broadcast") from None

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether axis 0 of every operand that has a batch is the result's axis 0.

        An operand of lower rank that starts with 1 may be a batch that lines up with another axis,
        and a constant of full rank that starts with another number fits one sample alone.
        """
        operands = present(types, self.arity)
        rank = max(t.rank for t in operands)
        return rank > 0 and all(
            t.shape[0] == 1 if t.rank == rank else t.rank == 0 or t.shape[0] != 1 for t in operands
        )

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        return _rows.elementwise(types, self.infer(*types)[0])

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """A single number fits anywhere; other operands get as many axes as the result."""
        orders = tuple(None if t.size == 1 else order for t in present(types, self.arity))
        return Permuted(self, orders, (order,))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(), tuple(range(cls.arity))

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp(self.options, {}, tuple(range(self.arity)))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """The last axis of the operands and the result shrink together (a residual)."""
        operands = present(types, self.arity)
        rank = max(t.rank for t in operands)
        size = max((t.shape[-1] if t.rank else 1) for t in operands)
        members = [
            AxisRef(i, t.rank - 1) for i, t in enumerate(operands) if t.rank and t.shape[-1] == size
        ]
        return (Coupling(size, (*members, AxisRef(-1, rank - 1))),) if rank else ()

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def draw_op(cls) -> SearchStrategy[Op]:
        """The operator with any valid attributes."""
        from hypothesis import strategies as st

        return st.just(cls())

    @classmethod
    def draw_quants(
        cls, draw: DrawFn, dtypes: Sequence[str]
    ) -> tuple[list[QuantParams | None], QuantParams | None]:
        """Parameters of operands of these types, and of the result."""
        from smidgen.ops import _draw

        scaled = ("int8", "int16")
        quants = [
            draw(_draw.quant_of(dtype)) if dtype in scaled else None
            for dtype in (*dtypes, dtypes[-1])
        ]
        return quants[:-1], quants[-1]

    @classmethod
    def draw_constant(cls, generator: np.random.Generator, place: int, type: TensorType) -> Array:
        """Data of a constant operand."""
        from smidgen.ops import _draw

        return _draw.values(generator, type)

    @classmethod
    def draw_operands(
        cls, draw: DrawFn, dtypes: Sequence[str], quants: Sequence[QuantParams | None]
    ) -> list[Operand]:
        """Operands one of which has the result's shape; the others broadcast or are constant."""
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand

        shape = draw(_draw.shape())
        full = draw(st.integers(0, len(dtypes) - 1))
        found = []
        for i, (dtype, quant) in enumerate(zip(dtypes, quants, strict=True)):
            if i == full:
                found.append(Operand(TensorType(shape, dtype, quant)))
                continue
            other = tuple(1 if draw(st.integers(0, 3)) == 0 else d for d in shape)
            other = other[draw(st.sampled_from((0, 0, 0, 1))) :] or (1,)
            type = TensorType(other, dtype, quant)
            constant = len(other) < len(shape) or draw(st.integers(0, 3)) == 0
            data = cls.draw_constant(draw(_draw.rng()), i, type) if constant else None
            found.append(Operand(type, data))
        return found

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops._sample import Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            dtypes = [draw(st.sampled_from(cls.sample_dtypes))] * cls.arity
            quants, out = cls.draw_quants(draw, dtypes)
            operands = cls.draw_operands(draw, dtypes, quants)
            op = cls() if dtypes[-1] in ("int32", "int64") else draw(cls.draw_op())
            return Sample(op, tuple(operands), (out,))

        return draw_sample()


def present(types: Types, count: int) -> tuple[TensorType, ...]:
    """The operands' types, `count` of them.

    Raises:
        ValueError: if there is another number of them.
    """
    found = tuple(t for t in types if t is not None)
    if len(types) != count or len(found) != count:
        words = {1: "one operand", 2: "two operands", 3: "three operands"}
        raise ValueError(f"takes {words[count]}, got {len(found)}")
    return found


def arrays_of(arrays: tuple[Array | None, ...]) -> tuple[Array, ...]:
    """The operands' arrays, none of which is left out."""
    return tuple(a for a in arrays if a is not None)


def one_dtype(dtypes: tuple[str, ...], accepted: tuple[str, ...]) -> str:
    """The element type that all operands have.

    Raises:
        ValueError: if they differ, or it is not among `accepted`.
    """
    if len(set(dtypes)) > 1 or dtypes[0] not in accepted:
        raise ValueError(f"operands are {' and '.join(dtypes)}, not all {' or '.join(accepted)}")
    return dtypes[0]


def pair_kernel(
    name: str,
    dtype: str,
    output_dtype: str = "",
    *,
    source: str = "",
    struct: str = "sm_pair_params",
    params: Callable[[Site], Mapping[str, Param]] | None = None,
) -> Kernel:
    """The kernel `sm_<name>_<dtype>` on two operands of that type.

    Args:
        name: such as "maximum".
        dtype: of the operands.
        output_dtype: of the result, if it is another.
        source: its header; `<name>_<dtype>.h` unless given.
        struct: its parameter struct, which begins with the loops.
        params: the other fields.
    """

    def all_params(site: Site) -> Mapping[str, Param]:
        return {**loops(site), **(params(site) if params else {})}

    return Kernel(
        f"sm_{name}_{dtype}",
        source or f"{name}_{dtype}.h",
        guard=guard(dtype, output_dtype),
        params=all_params,
        arguments=(0, 1),
        struct=struct,
        overlap=overlap,
    )


def guard(dtype: str, output_dtype: str = "") -> Callable[[Site], str | None]:
    """A guard for kernels on operands of `dtype` that broadcast in at most 4 dimensions."""

    def check(site: Site) -> str | None:
        got = (*(site.input(i).dtype for i in range(len(site.inputs))), site.output.dtype)
        want = (*[dtype] * len(site.inputs), output_dtype or dtype)
        if got != want:
            return f"operands and output are {', '.join(got)}, not {', '.join(want)}"
        if len(merged(site)) > MAX_RANK:
            return f"shapes that broadcast in more than {MAX_RANK} dimensions"
        if site.rounding != "double" and dtype in ("int8", "int16"):
            return "the kernels round as TFLM does (double rounding)"
        return None

    return check


def merged(site: Site) -> list[tuple[int, ...]]:
    """Size and every operand's element stride of each loop over the output.

    Adjacent axes that all operands walk contiguously are merged.
    """
    out = site.output.shape
    strides = [_broadcast_strides(site.input(i).shape, out) for i in range(len(site.inputs))]
    found: list[tuple[int, ...]] = []
    for n, *steps in zip(out, *strides, strict=True):
        if n == 1:
            continue
        if found and found[-1][1:] == tuple(s * n for s in steps):
            found[-1] = (found[-1][0] * n, *steps)
        else:
            found.append((n, *steps))
    return found


def loops(site: Site) -> dict[str, Param]:
    """A four-deep loop; a stride of 0 broadcasts, equal shapes are one flat loop (1, 1, 1, n)."""
    found = merged(site)
    outer = [(1, *[0] * len(site.inputs))] * (MAX_RANK - len(found))
    fields: dict[str, Param] = {}
    for d, (n, *strides) in enumerate(outer + found):
        fields[f"size{d}"] = n
        fields |= {f"stride_{NAMES[i]}{d}": step for i, step in enumerate(strides)}
    return fields


def rows_refusal(site: Site) -> str | None:
    """Why the output cannot be computed by rows of neighbours in both operands, or None."""
    found = merged(site) or [(1, 1, 1)]
    if len(found) > 2 or found[-1][1:] != (1, 1):
        return "the operands broadcast in more than rows"
    return None


def rows(site: Site) -> dict[str, Param]:
    """Rows of pairs that are neighbours, and from each row to the next a step of each operand."""
    (count, *steps), (size, *_) = ([(1, 0, 0)] * 2 + merged(site))[-2:]
    return {"rows": count, "size": size, "a_stride": steps[0], "b_stride": steps[1]}


def _broadcast_strides(shape: tuple[int, ...], out: tuple[int, ...]) -> list[int]:
    full = (1,) * (len(out) - len(shape)) + shape
    strides, step = [0] * len(out), 1
    for d in reversed(range(len(out))):
        strides[d] = 0 if full[d] == 1 else step
        step *= full[d]
    return strides


def overlap(site: Site) -> Mapping[int, int]:
    """An operand with as many elements as the output may be overwritten from its first on.

    Where an element of the output is wider than the operand's, the last one written before the
    last one is read ends further on by the difference for each element.
    """
    size, width = site.output.size, ITEM_BITS[site.output.dtype] // 8
    return {
        i: max(0, width - ITEM_BITS[type.dtype] // 8) * max(0, size - 1)
        for i, type in enumerate(site.inputs)
        if type is not None and site.constants[i] is None and type.size == size
    }
