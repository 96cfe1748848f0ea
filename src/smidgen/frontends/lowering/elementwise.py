"""Arithmetic, element by element, with numpy's broadcasting."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.lowering.site import Lowering, Operand


def unary(at: Lowering, op: str, x: Operand) -> str:
    """An operator on one tensor, by LiteRT name: ABS, EXP, NEG, SQRT, ..."""
    return at.add(op, [x])


def binary(at: Lowering, op: str, a: Operand, b: Operand) -> str:
    """An operator on two tensors, by LiteRT name: ADD, MAXIMUM, LESS, ...

    Constants without axes become those with one, which is what kernels broadcast.
    """
    return at.add(op, [_broadcastable(a), _broadcastable(b)])


def _broadcastable(x: Operand) -> Operand:
    return x if isinstance(x, str) or x.ndim else x.reshape(1)


def add(at: Lowering, a: Operand, b: Operand) -> str:
    """`a` + b."""
    return binary(at, "ADD", a, b)


def subtract(at: Lowering, a: Operand, b: Operand) -> str:
    """`a` - b; taking a constant off is adding its opposite."""
    return binary(at, "SUB", a, b)


def multiply(at: Lowering, a: Operand, b: Operand) -> str:
    """`a` * b."""
    return binary(at, "MUL", a, b)


def divide(at: Lowering, a: Operand, b: Operand) -> str:
    """`a` / b; a constant divisor without zeros becomes a factor, within half a float32 ulp."""
    if not isinstance(b, str) and b.dtype.kind == "f" and (b != 0).all():
        return multiply(at, a, (1.0 / b.astype(np.float64)).astype(np.float32))
    return binary(at, "DIV", a, b)


def power(at: Lowering, x: Operand, exponent: Operand) -> str:
    """`x` to a power; squares, roots and the like by their own operators."""
    if not isinstance(exponent, str) and exponent.size == 1:
        number = float(exponent.reshape(-1)[0])
        if number == 1:
            return at.value(x)
        if number == 2:
            return multiply(at, x, x)
        if number == 3:
            return multiply(at, multiply(at, x, x), x)
        if number == 0.5:
            return unary(at, "SQRT", x)
        if number == -0.5:
            return unary(at, "RSQRT", x)
        if number == -1:
            return binary(at, "DIV", at.scalar(1.0), x)
    return binary(at, "POW", x, exponent)


def clip(at: Lowering, x: Operand, low: float | None, high: float | None) -> str:
    """Elements limited to [low, high]; either may be left out."""
    if (low, high) == (0, None):
        return at.add("RELU", [x])
    if (low, high) == (0, 6):
        return at.add("RELU6", [x])
    y = at.value(x)
    if low is not None:
        y = at.add("RELU", [y]) if low == 0 else binary(at, "MAXIMUM", y, at.scalar(low))
    if high is not None:
        y = binary(at, "MINIMUM", y, at.scalar(high))
    return y
