"""What the operators on one tensor share: types, tables, kernels that walk all elements, samples.

An int8 function of one element is a table of 256 answers, made by `smidgen.numerics`. The
reference and the C kernel look up the same table, so there is one place that can be wrong and one
foreign runtime to catch it. Every runtime rounds these operators twice: `rounding` is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.lookup import apply_table
from smidgen.numerics.requantize import MAX_SHIFT, quantize_multiplier
from smidgen.ops import _rows
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Types,
)
from smidgen.ops._order import Order, Permuted
from smidgen.ops._range import Range
from smidgen.ops._range import unary as unary_range
from smidgen.ops._rows import RowWindow

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def only(types: Types, dtypes: tuple[str, ...] = ("float32", "int8")) -> TensorType:
    """The type of the one operand.

    Raises:
        ValueError: if there is another number of operands, or its dtype is not among `dtypes`.
    """
    if len(types) != 1 or types[0] is None:
        raise ValueError(f"takes one operand, got {len(types)}")
    if types[0].dtype not in dtypes:
        raise ValueError(f"operand is {types[0].dtype}, which is not among {', '.join(dtypes)}")
    return types[0]


def one(arrays: tuple[Array | None, ...]) -> Array:
    """The one operand's array."""
    (x,) = arrays
    assert x is not None
    return x


def guard(input_dtype: str, output_dtype: str = "") -> Callable[[Site], str | None]:
    """A guard that looks at the element types only; one name stands for both."""

    def check(site: Site) -> str | None:
        got, want = (site.dtype, site.output.dtype), (input_dtype, output_dtype or input_dtype)
        return None if got == want else f"it turns {want[0]} into {want[1]}, not {got[0]} {got[1]}"

    return check


def in_place(site: Site) -> Mapping[int, int]:
    """Each element is read before it is written: the output may take the operand's place."""
    return {0: 0}


def types_of(site: Site) -> NodeTypes:
    """The types that a site's tables are made from."""
    return NodeTypes(site.inputs, site.outputs)


def check_factor(real: float, largest: int = MAX_SHIFT) -> None:
    """Raise ValueError if a factor between scales is larger than the kernels can multiply by.

    Args:
        real: the factor.
        largest: the largest shift, a power of two.
    """
    if quantize_multiplier(real)[1] > largest:
        raise ValueError(f"the scales differ by a factor of {real:.3g}; 2^{largest} is the limit")


def float_kernel(name: str, params: Callable[[Site], Mapping[str, Param]] | None = None) -> Kernel:
    """The kernel `sm_<name>_float32`, whose parameters are the size and those of `params`."""

    def all_params(site: Site) -> Mapping[str, Param]:
        return {"size": site.output.size, **(params(site) if params else {})}

    return Kernel(
        f"sm_{name}_float32",
        f"{name}_float32.h",
        guard=guard("float32"),
        params=all_params,
        arguments=(0,),
        overlap=in_place,
    )


class Unary(Op):
    """Base of the elementwise operators on one tensor; subclasses say what is special."""

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8")
    options: ClassVar[str] = ""
    int8_version: ClassVar[int] = 2
    int16_version: ClassVar[int] = 3

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        """The operand's shape and dtype."""
        x = only(types, self.dtypes)
        return (TensorType(x.shape, x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether there is an axis to widen."""
        return only(types, self.dtypes).rank > 0

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        """A row of the operand for each."""
        return _rows.elementwise(types, self.infer(*types)[0])

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Elements do not know where they lie."""
        return Permuted(self, (order,), (order,))

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """What the operator makes of the values that the operand may take."""
        return unary_range(self, types, ranges)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        """A free operand and a free result."""
        return QuantRule((Role.ACTIVATION,))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        """The operator without attributes."""
        return cls(), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        """No options."""
        return TfliteOp(self.options, {}, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        """Most operators know int8 since their second version."""
        known = {"int8": self.int8_version, "int16": self.int16_version}
        return known.get(types.dtype, 1)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass through."""
        x = only(types, self.dtypes)
        if not x.rank:
            return ()
        return (Coupling(x.shape[-1], (AxisRef(0, x.rank - 1), AxisRef(-1, x.rank - 1))),)

    def macs(self, *types: TensorType | None) -> int:
        """None: nothing is multiplied by weights."""
        return 0


class TableUnary(Unary):
    """Base of those that turn int8 into int8 by a table."""

    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32")

    def table(self, types: NodeTypes) -> Array:
        """The 256 int8 answers, by the input's bits."""
        raise NotImplementedError

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        """Looks every element up, where a byte has a table."""
        x = one(arrays)
        if types.dtype == "int16":
            return (self.int16_ref(types, x),)
        return (apply_table(x, self.table(types)),)

    def int16_ref(self, types: NodeTypes, x: Array) -> Array:
        """The int16 answers to int16 elements, of operators that list int16 in `dtypes`."""
        raise NotImplementedError

    @classmethod
    def draw_op(cls) -> SearchStrategy[Op]:
        """The operator with any valid attributes."""
        from hypothesis import strategies as st

        return st.just(cls())

    @classmethod
    def draw_input_quant(cls) -> SearchStrategy[QuantParams]:
        """Any parameters of an int8 operand."""
        from smidgen.ops import _draw

        return _draw.quant(1e-5, 30.0)

    @classmethod
    def draw_output_quant(cls, op: Op, x: QuantParams) -> SearchStrategy[QuantParams]:
        """Any parameters of an int8 result: here those that the rule demands, or free ones."""
        from hypothesis import strategies as st

        fixed = op.quant_rule(TensorType((1,), "int8", x)).output
        return st.just(fixed["int8"]) if fixed else draw_ratio(x, 1e-2, 1e3)

    @classmethod
    def draw_int16_quants(cls, op: Op) -> SearchStrategy[tuple[QuantParams, QuantParams]]:
        """Any parameters of an int16 operand and result."""
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        x = _draw.quant(1e-6, 2.0, "int16")
        fixed = op.quant_rule(TensorType((1,), "int16")).output
        if fixed:
            return st.tuples(x, st.just(fixed["int16"]))
        return x.flatmap(lambda q: st.tuples(st.just(q), draw_ratio(q, 1e-2, 1e3, "int16")))

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        """Any shape; int8 at scales from tiny to huge."""
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        wide = [dtype for dtype in cls.dtypes if dtype == "int16"]

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            op, shape = draw(cls.draw_op()), draw(_draw.shape())
            dtype = draw(st.sampled_from((*cls.sample_dtypes, *wide)))
            if dtype == "int16":
                quant, out = draw(cls.draw_int16_quants(op))
                return Sample(op, (Operand(TensorType(shape, dtype, quant)),), (out,))
            if dtype != "int8":
                return Sample(op, (Operand(TensorType(shape, dtype)),))
            quant = draw(cls.draw_input_quant())
            operand = Operand(TensorType(shape, "int8", quant))
            return Sample(op, (operand,), (draw(cls.draw_output_quant(op, quant)),))

        return draw_sample()


def draw_ratio(
    x: QuantParams, low: float, high: float, dtype: str = "int8"
) -> SearchStrategy[QuantParams]:
    """Parameters whose scale is that of `x`, or between `low` and `high` times that of `x`."""
    from hypothesis import strategies as st

    from smidgen.ops import _draw

    other = _draw.quant(low * x.scale, high * x.scale, dtype)
    same = _draw.zero_points(dtype).map(lambda z: QuantParams.per_tensor(x.scale, z))
    return st.one_of(same, other, other, other)


def lookup_kernel(accepts: Callable[[Site], str | None] | None = None) -> Kernel:
    """The kernel that looks each byte up in the operator's table."""

    def params(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, TableUnary)
        return {"size": site.output.size, "table": site.op.table(types_of(site))}

    return Kernel(
        "sm_lookup_int8",
        "lookup_int8.h",
        guard=accepts or guard("int8"),
        params=params,
        arguments=(0,),
        overlap=in_place,
    )
