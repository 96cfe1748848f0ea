"""Operators on one element or a pair, where their operands have to suit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import QuantParams
from smidgen.ops import Op, Operand, get_op
from tests.random_steps._step import Step

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None


def unary(g: Growth, op: Op) -> None:
    x = g.pick()
    if x is not None:
        g.node(op, [x])


def binary(g: Growth, op: Op) -> None:
    """On two activations of one shape (a residual sum), or on one and a constant."""
    x = g.pick()
    if x is None:
        return
    type = g.builder.type(x)
    shape, ones = type.shape, (1,) * len(type.shape)
    tied = any({0, 1} <= set(tie) for tie in op.quant_rule(type, type).ties)
    other: Name = g.pick(lambda t: t.shape == shape)
    if other == x and not g.one_in(6):
        small = g.draw(st.sampled_from((shape, shape[-1:], ones[:-1] + shape[-1:], ones)))
        other = g.constant(g.rng.normal(0, 1, small), type.quant if tied else None)
    elif tied and isinstance(other, str):
        other = g.at_scale_of(x, other)
    if other is not None:
        g.node(op, [x, other] if g.draw(st.booleans()) else [other, x])


def _not_negative(name: str) -> Callable[[Growth, str], object]:
    """An operator whose runtimes stop at negative numbers: they are clamped to 0 first."""

    def grow(g: Growth, x: str) -> None:
        quant = g.builder.type(x).quant
        assert quant is not None
        if quant.zero_point != -128:
            high = quant.scale * max(1, 127 - quant.zero_point)
            clamped = g.node(get_op("QUANTIZE")(), [x], QuantParams.per_tensor(high / 255, -128))
            if clamped is None:
                return
            x = clamped
        g.node(get_op(name)(), [x])

    return grow


def _not_zero(g: Growth, x: str) -> None:
    """DIV by constants; the result's scale is one at which the runtimes divide."""
    type = g.builder.type(x)
    small = g.draw(st.sampled_from((type.shape, type.shape[-1:], (1,) * type.rank)))
    by = g.rng.uniform(0.5, 2, small) * g.rng.choice((-1, 1), small)
    if type.quant is None:
        g.node(get_op("DIV")(), [x, g.constant(by)])
        return
    divisor = g.constant(by, QuantParams.per_tensor(2 / 127))
    assert divisor.type.quant is not None
    scale = type.quant.scale / divisor.type.quant.scale / g.draw(st.sampled_from((65, 90, 200)))
    zero_point = g.draw(st.sampled_from((-128, 0, 40)))
    g.node(get_op("DIV")(), [x, divisor], QuantParams.per_tensor(scale, zero_point))


STEPS = {
    "DIV": Step(_not_zero),
    **{name: Step(_not_negative(name), dtypes=("int8",)) for name in ("LOG", "RSQRT", "SQRT")},
}
