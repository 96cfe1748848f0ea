"""Activations; those that LiteRT lacks by the operators that it has."""

from __future__ import annotations

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.elementwise import add, binary, clip, multiply, unary
from smidgen.frontends.lowering.movement import move_axis_last
from smidgen.frontends.lowering.site import Array, Lowering, Operand


def relu(at: Lowering, x: Operand) -> str:
    """max(x, 0)."""
    return at.add("RELU", [x])


def relu6(at: Lowering, x: Operand) -> str:
    """min(max(x, 0), 6)."""
    return at.add("RELU6", [x])


def sigmoid(at: Lowering, x: Operand) -> str:
    """1 / (1 + e^-x)."""
    return at.add("LOGISTIC", [x])


def tanh(at: Lowering, x: Operand) -> str:
    """The hyperbolic tangent."""
    return at.add("TANH", [x])


def leaky_relu(at: Lowering, x: Operand, slope: float) -> str:
    """`x` where it is positive, slope * x elsewhere."""
    return at.add("LEAKY_RELU", [x], alpha=slope)


def prelu(at: Lowering, x: Operand, slopes: Array) -> str:
    """`x` where it is positive, slopes * x elsewhere.

    Args:
        at: where.
        x: (n, c, ...).
        slopes: one for each channel, or one for all.
    """
    if slopes.size == 1:
        return leaky_relu(at, x, float(slopes.reshape(-1)[0]))
    if at.rank(x) < 2 or slopes.size != at.shape(x)[1]:
        raise UnsupportedModelError(f"{slopes.size} slopes for an input of shape {at.shape(x)}")
    last = at.channels_last(x)
    # LiteRT's slopes have the input's shape but for the batch, and broadcast.
    alpha = slopes.reshape((1,) * (at.rank(last) - 2) + (-1,)).astype(np.float32)
    return at.channels_first(at.add("PRELU", [last, alpha]))


def elu(at: Lowering, x: Operand, alpha: float = 1.0) -> str:
    """`x` where it is positive, alpha * (e^x - 1) elsewhere."""
    if alpha == 1:
        return at.add("ELU", [x])
    positive = relu(at, x)
    negative = at.add("ELU", [binary(at, "MINIMUM", x, at.scalar(0.0))])
    return add(at, positive, multiply(at, negative, at.scalar(alpha)))


def selu(at: Lowering, x: Operand) -> str:
    """The self-normalizing ELU (Klambauer et al., 2017), with its two constants."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return multiply(at, elu(at, x, alpha), at.scalar(scale))


def gelu(at: Lowering, x: Operand, *, approximate: bool = False) -> str:
    """`x` times the normal distribution function of x, or its approximation by tanh."""
    return at.add("GELU", [x], approximate=approximate)


def silu(at: Lowering, x: Operand) -> str:
    """`x` * sigmoid(x), which is also called swish."""
    return multiply(at, x, sigmoid(at, x))


def hard_sigmoid(at: Lowering, x: Operand, slope: float = 1 / 6, offset: float = 0.5) -> str:
    """min(max(slope * x + offset, 0), 1), as relu6(6 slope x + 6 offset) / 6."""
    scaled = x if slope == 1 / 6 else multiply(at, x, at.scalar(6 * slope))
    shifted = add(at, scaled, at.scalar(6 * offset))
    return multiply(at, relu6(at, shifted), at.scalar(1 / 6))


def hard_swish(at: Lowering, x: Operand) -> str:
    """`x` * relu6(x + 3) / 6."""
    return at.add("HARD_SWISH", [x])


def hard_tanh(at: Lowering, x: Operand, low: float = -1.0, high: float = 1.0) -> str:
    """`x` limited to [low, high]."""
    return clip(at, x, low, high)


def softplus(at: Lowering, x: Operand) -> str:
    """log(1 + e^x), as max(x, 0) + log(1 + e^-|x|), which does not overflow."""
    small = unary(at, "EXP", unary(at, "NEG", unary(at, "ABS", x)))
    return add(at, relu(at, x), unary(at, "LOG", add(at, small, at.scalar(1.0))))


def mish(at: Lowering, x: Operand) -> str:
    """`x` * tanh(softplus(x))."""
    return multiply(at, x, tanh(at, softplus(at, x)))


def softsign(at: Lowering, x: Operand) -> str:
    """`x` / (1 + |x|)."""
    return binary(at, "DIV", x, add(at, unary(at, "ABS", x), at.scalar(1.0)))


def softmax(at: Lowering, x: Operand, axis: int = -1) -> str:
    """e^x, divided by its sum along an axis; LiteRT's operator works along the last one."""
    moved, back = move_axis_last(at, x, axis)
    y = at.add("SOFTMAX", [moved])
    return y if back is None else at.add("TRANSPOSE", [y], perm=back)


def log_softmax(at: Lowering, x: Operand, axis: int = -1) -> str:
    """The logarithm of softmax: x less its maximum, less the logarithm of the sum of e^that."""
    place = at.axis(x, axis)
    largest = at.add("REDUCE_MAX", [x], axis=(place,), keep_dims=True)
    below = at.add("SUB", [x, largest])
    total = at.add("SUM", [at.add("EXP", [below])], axis=(place,), keep_dims=True)
    return at.add("SUB", [below, at.add("LOG", [total])])
