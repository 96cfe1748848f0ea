"""What ADD, SUB and MUL share: everything but the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.lookup import INT8_VALUES
from smidgen.ops import _rows
from smidgen.ops._activation import (
    check_activation,
    check_bounds,
    float_activation,
    float_bounds,
    int_bounds,
    read_activation,
)
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    NOT_TRAINABLE_YET,
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Types,
    unsupported,
)
from smidgen.ops._rows import RowWindow

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8")
MAX_RANK = 4


@dataclass(frozen=True)
class Binary(Op):
    """Base of the operators on two tensors that broadcast as in numpy, with a fused activation.

    A subclass says how two numbers are combined: `float_combine` and `int_combine`.
    """

    options: ClassVar[str]

    fused_activation_function: str = "NONE"

    def float_combine(self, a: Array, b: Array) -> Array:
        """The result before the activation."""
        raise NotImplementedError

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        """Centred int64 operands to centred int64 results at the output's scale."""
        raise NotImplementedError

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        a, b = _both_types(types)
        if a.dtype != b.dtype or a.dtype not in DTYPES:
            raise ValueError(
                f"operands are {a.dtype} and {b.dtype}, not both {' or '.join(DTYPES)}"
            )
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ValueError(f"shapes {a.shape} and {b.shape} do not broadcast") from None
        return (TensorType(shape, a.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether axis 0 of every operand that has a batch is the result's axis 0.

        An operand of lower rank that starts with 1 may be a batch that lines up with another axis,
        and a constant of full rank that starts with another number fits one sample alone.
        """
        a, b = _both_types(types)
        rank = max(a.rank, b.rank)
        return rank > 0 and all(
            t.shape[0] == 1 if t.rank == rank else t.rank == 0 or t.shape[0] != 1 for t in (a, b)
        )

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        a, b = _both_arrays(arrays)
        return (float_activation(self.float_combine(a, b), self.fused_activation_function),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        a, b = (
            array.astype(np.int64) - types.zero_point(i)
            for i, array in enumerate(_both_arrays(arrays))
        )
        result = self.int_combine(types, a, b, rounding) + types.zero_point(-1)
        bounds = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        return (np.clip(result, *bounds).astype(types.dtype),)

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        return _rows.elementwise(types, self.infer(*types)[0])

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        check_bounds(self.fused_activation_function, outputs[0])

    torch_lower = unsupported(NOT_TRAINABLE_YET)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(read_activation(node.options["fused_activation_function"])), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"fused_activation_function": self.fused_activation_function}
        return TfliteOp(self.options, fields, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        return 2 if types.dtype == "int8" else 1

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """The last axis of both operands and the result shrink together (a residual)."""
        a, b = _both_types(types)
        rank = max(a.rank, b.rank)
        size = max((t.shape[-1] if t.rank else 1) for t in (a, b))
        members = [
            AxisRef(i, t.rank - 1) for i, t in enumerate((a, b)) if t.rank and t.shape[-1] == size
        ]
        return (Coupling(size, (*members, AxisRef(-1, rank - 1))),) if rank else ()

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape())
            kind = draw(_draw.dtype())
            other = tuple(1 if draw(st.integers(0, 3)) == 0 else d for d in shape)
            other = other[draw(st.sampled_from((0, 0, 0, 1))) :] or (1,)
            quants = [draw(_draw.quant()) if kind == "int8" else None for _ in range(3)]
            shapes = [shape, other] if draw(st.booleans()) else [other, shape]
            operands = [
                Operand(TensorType(s, kind, q)) for s, q in zip(shapes, quants[:2], strict=True)
            ]
            if len(other) < len(shape) or draw(st.integers(0, 3)) == 0:
                generator = draw(_draw.rng())
                i = 1 if shapes[0] == shape else 0
                operands[i] = Operand(operands[i].type, _draw.values(generator, operands[i].type))
            return Sample(cls(draw(_draw.activation())), tuple(operands), (quants[2],))

        return draw_sample()


def _both_types(types: Types) -> tuple[TensorType, TensorType]:
    if len(types) != 2 or types[0] is None or types[1] is None:
        raise ValueError(f"takes two operands, got {sum(t is not None for t in types)}")
    return types[0], types[1]


def _both_arrays(arrays: tuple[Array | None, ...]) -> tuple[Array, Array]:
    a, b = arrays
    assert a is not None and b is not None
    return a, b


def kernels(
    name: str, int8_params: Callable[[Site], Mapping[str, Param]], int8_struct: str
) -> tuple[Kernel, ...]:
    """The kernels `sm_<name>_int8`, whose parameters begin with those of `int8_params`, and float.

    Args:
        name: such as "add".
        int8_params: fields between the loops and the limits.
        int8_struct: the name of the int8 kernel's struct.
    """

    def all_int8(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, Binary)
        low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
        offsets: dict[str, Param] = {
            "a_offset": -site.quant(0).zero_point,
            "b_offset": -site.quant(1).zero_point,
            "output_offset": site.quant(-1).zero_point,
        }
        return {**_loops(site), **offsets, **int8_params(site), "act_min": low, "act_max": high}

    def all_float(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, Binary)
        low, high = float_bounds(site.op.fused_activation_function)
        return {**_loops(site), "act_min": low, "act_max": high}

    general = tuple(
        Kernel(
            f"sm_{name}_{dtype}",
            f"{name}_{dtype}.h",
            guard=guard(dtype),
            params=params,
            arguments=(0, 1),
            struct=struct,
            overlap=overlap,
        )
        for dtype, params, struct in (
            ("int8", all_int8, int8_struct),
            ("float32", all_float, "sm_elementwise_float32_params"),
        )
    )
    return (*_table_kernels(), *general)


def _table_kernels() -> tuple[Kernel, ...]:
    """The kernels that look up what one constant number makes of the other operand."""

    def of(varies: int) -> Kernel:
        constant = 1 - varies

        def check(site: Site) -> str | None:
            number = site.constants[constant]
            if number is None or number.size != 1 or site.constants[varies] is not None:
                return f"operand {constant} is not one constant number"
            return guard("int8")(site)

        def params(site: Site) -> Mapping[str, Param]:
            arrays: list[Array] = [INT8_VALUES, INT8_VALUES]
            arrays[constant] = site.constant(constant).reshape(1)
            operands = [TensorType(a.shape, "int8", site.quant(i)) for i, a in enumerate(arrays)]
            types = NodeTypes(tuple(operands), (TensorType((256,), "int8", site.quant(-1)),))
            (table,) = site.op.int_ref(types, *arrays)
            return {"size": site.output.size, "table": table}

        return Kernel(
            "sm_lookup_int8",
            "lookup_int8.h",
            guard=check,
            params=params,
            arguments=(varies,),
            overlap=overlap,
        )

    return of(0), of(1)


def guard(dtype: str) -> Callable[[Site], str | None]:
    """A guard for kernels on two operands of `dtype` that broadcast in at most 4 dimensions."""

    def check(site: Site) -> str | None:
        dtypes = (site.dtype, site.input(1).dtype, site.output.dtype)
        if dtypes != (dtype,) * 3:
            return f"operands and output are {', '.join(dtypes)}, not {dtype}"
        if len(_merged(site)) > MAX_RANK:
            return f"shapes that broadcast in more than {MAX_RANK} dimensions"
        if site.rounding != "double" and dtype == "int8":
            return "the kernels round as TFLM does (double rounding)"
        return None

    return check


def _merged(site: Site) -> list[tuple[int, int, int]]:
    """Size and both operands' element strides of each loop over the output.

    Adjacent axes that both operands walk contiguously are merged.
    """
    out = site.output.shape
    strides = [_broadcast_strides(site.input(i).shape, out) for i in (0, 1)]
    merged: list[tuple[int, int, int]] = []
    for n, s0, s1 in zip(out, *strides, strict=True):
        if n == 1:
            continue
        if merged and merged[-1][1:] == (s0 * n, s1 * n):
            merged[-1] = (merged[-1][0] * n, s0, s1)
        else:
            merged.append((n, s0, s1))
    return merged


def _loops(site: Site) -> dict[str, Param]:
    """A four-deep loop; a stride of 0 broadcasts, equal shapes are one flat loop (1, 1, 1, n)."""
    merged = _merged(site)
    fields: dict[str, Param] = {}
    for d, (n, s0, s1) in enumerate([(1, 0, 0)] * (MAX_RANK - len(merged)) + merged):
        fields |= {f"size{d}": n, f"stride_a{d}": s0, f"stride_b{d}": s1}
    return fields


def rows_refusal(site: Site) -> str | None:
    """Why the output cannot be computed by rows of neighbours in both operands, or None."""
    merged = _merged(site) or [(1, 1, 1)]
    if len(merged) > 2 or merged[-1][1:] != (1, 1):
        return "the operands broadcast in more than rows"
    return None


def rows(site: Site) -> dict[str, Param]:
    """Rows of pairs that are neighbours, and from each row to the next a step of each operand."""
    (count, *steps), (size, *_) = ([(1, 0, 0)] * 2 + _merged(site))[-2:]
    return {"rows": count, "size": size, "a_stride": steps[0], "b_stride": steps[1]}


def _broadcast_strides(shape: tuple[int, ...], out: tuple[int, ...]) -> list[int]:
    full = (1,) * (len(out) - len(shape)) + shape
    strides, step = [0] * len(out), 1
    for d in reversed(range(len(out))):
        strides[d] = 0 if full[d] == 1 else step
        step *= full[d]
    return strides


def overlap(site: Site) -> Mapping[int, int]:
    """An operand that is as large as the output may be overwritten in place."""
    return {
        i: 0
        for i, type in enumerate(site.inputs)
        if type is not None and site.constants[i] is None and type.size == site.output.size
    }
