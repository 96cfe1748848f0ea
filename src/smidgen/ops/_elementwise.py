"""What ADD, SUB and MUL share: broadcasting, types, overlap, the file's form, samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._activation import check_activation
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import AxisRef, Coupling, Op, QuantRule, Role

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
MAX_RANK = 4


def infer(types: tuple[TensorType | None, ...], activation: str) -> tuple[TensorType, ...]:
    """The broadcast result of two operands of one dtype.

    Raises:
        ValueError: if the shapes do not broadcast or the dtypes differ.
    """
    check_activation(activation)
    if len(types) != 2:
        raise ValueError(f"takes two operands, got {len(types)}")
    a, b = types
    if a is None or b is None:
        raise ValueError("takes two operands, one is missing")
    if a.dtype != b.dtype:
        raise ValueError(f"operands are {a.dtype} and {b.dtype}")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not broadcast") from None
    return (TensorType(shape, a.dtype),)


def both(arrays: tuple[Array | None, ...]) -> tuple[Array, Array]:
    """The two operands' arrays."""
    a, b = arrays
    assert a is not None and b is not None
    return a, b


def batchable(types: tuple[TensorType | None, ...]) -> bool:
    """Whether axis 0 of every operand that has a batch is the result's axis 0.

    An operand of lower rank that starts with 1 may be a batch that lines up with another axis.
    """
    rank = max(t.rank for t in types if t is not None)
    aligned = [t is not None and (t.rank in (0, rank) or t.shape[0] != 1) for t in types]
    return rank > 0 and all(aligned)


def quant_rule() -> QuantRule:
    """Two free activations."""
    return QuantRule((Role.ACTIVATION, Role.ACTIVATION))


def axes(types: tuple[TensorType | None, ...]) -> tuple[Coupling, ...]:
    """The last axis of both operands and the result shrink together (a residual)."""
    a, b = types
    assert a is not None and b is not None
    rank = max(a.rank, b.rank)
    size = max((t.shape[-1] if t.rank else 1) for t in (a, b))
    members = [
        AxisRef(i, t.rank - 1) for i, t in enumerate((a, b)) if t.rank and t.shape[-1] == size
    ]
    return (Coupling(size, (*members, AxisRef(-1, rank - 1))),) if rank else ()


def guard(dtype: str) -> Any:
    """A guard for kernels on two operands of `dtype` that broadcast in at most 4 dimensions."""

    def check(site: Site) -> str | None:
        dtypes = (site.dtype, site.input(1).dtype, site.output.dtype)
        if dtypes != (dtype,) * 3:
            return f"operands and output are {', '.join(dtypes)}, not {dtype}"
        if site.output.rank > MAX_RANK:
            return f"rank {site.output.rank}; broadcasting goes up to {MAX_RANK}"
        if site.rounding != "double" and dtype == "int8":
            return "the kernels round as TFLM does (double rounding)"
        return None

    return check


def loops(site: Site) -> dict[str, Param]:
    """Sizes and element strides of a four-deep loop over the output; stride 0 broadcasts.

    Adjacent axes that both operands walk contiguously are merged, so that equal shapes become
    one flat loop (sizes 1, 1, 1, n).
    """
    out = site.output.shape
    strides = [_broadcast_strides(site.input(i).shape, out) for i in (0, 1)]
    dims = [(n, strides[0][d], strides[1][d]) for d, n in enumerate(out) if n != 1]
    merged: list[tuple[int, int, int]] = []
    for n, s0, s1 in dims:
        if merged:
            m, t0, t1 = merged[-1]
            if t0 == s0 * n and t1 == s1 * n:
                merged[-1] = (m * n, s0, s1)
                continue
        merged.append((n, s0, s1))
    merged = [(1, 0, 0)] * (MAX_RANK - len(merged)) + merged
    fields: dict[str, Param] = {}
    for d, (n, s0, s1) in enumerate(merged):
        fields |= {f"size{d}": n, f"stride_a{d}": s0, f"stride_b{d}": s1}
    return fields


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


def samples(cls: Any, quantized: Any = None) -> SearchStrategy[Sample]:
    """Samples of `cls(activation)` on two operands, one of them constant now and then."""
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
        if draw(st.integers(0, 3)) == 0:
            generator = draw(_draw.rng())
            i = 1 if shapes[0] == shape else 0
            operands[i] = Operand(operands[i].type, _draw.values(generator, operands[i].type))
        op: Op = cls(draw(_draw.activation()))
        return Sample(op, tuple(operands), (quants[2],))

    return draw_sample()
