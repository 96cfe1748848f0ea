"""Activations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.site import NodeSite, Operand, operator


def _plain(function: Callable[..., str]) -> Callable[[NodeSite], Operand]:
    def rule(site: NodeSite) -> Operand:
        return function(site.at, site.x)

    return rule


operator("Relu")(_plain(lower.relu))
operator("Sigmoid")(_plain(lower.sigmoid))
operator("Tanh")(_plain(lower.tanh))
operator("HardSwish")(_plain(lower.hard_swish))
operator("Mish")(_plain(lower.mish))
operator("Softplus")(_plain(lower.softplus))
operator("Softsign")(_plain(lower.softsign))


@operator("LeakyRelu")
def leaky_relu(site: NodeSite) -> Operand:
    """A slope where it is negative."""
    return lower.leaky_relu(site.at, site.x, site.real("alpha", 0.01))


@operator("PRelu")
def prelu(site: NodeSite) -> Operand:
    """A slope for each channel where it is negative; other broadcasts by their definition."""
    at, x, slopes = site.at, site.x, site.floats(1, "slope")
    dims = site.shape(x)
    if site.version < 7 and slopes.shape == dims[1:2]:  # they line up with the channels
        return lower.prelu(at, x, slopes)
    per_channel = len(dims) > 1 and slopes.shape == (dims[1], *(1,) * (len(dims) - 2))
    if slopes.size == 1 or per_channel:
        return lower.prelu(at, x, slopes)
    negative = lower.binary(at, "MINIMUM", x, at.scalar(0.0))
    return lower.add(at, lower.relu(at, x), lower.multiply(at, negative, slopes))


@operator("Elu")
def elu(site: NodeSite) -> Operand:
    """Exponential where it is negative."""
    return lower.elu(site.at, site.x, site.real("alpha", 1.0))


@operator("Selu")
def selu(site: NodeSite) -> Operand:
    """A scaled ELU, by default the self-normalizing one."""
    alpha = site.real("alpha", 1.67326319217681884765625)
    gamma = site.real("gamma", 1.05070102214813232421875)
    return lower.multiply(site.at, lower.elu(site.at, site.x, alpha), site.at.scalar(gamma))


@operator("Celu")
def celu(site: NodeSite) -> Operand:
    """max(0, x) + min(0, alpha (e^(x / alpha) - 1)): an ELU of the input at another scale."""
    alpha = site.real("alpha", 1.0)
    if alpha == 1:
        return lower.elu(site.at, site.x)
    narrow = lower.multiply(site.at, site.x, site.at.scalar(1 / alpha))
    return lower.multiply(site.at, lower.elu(site.at, narrow), site.at.scalar(alpha))


@operator("Gelu")
def gelu(site: NodeSite) -> Operand:
    """Weighed by the normal distribution."""
    approximate = site.text("approximate", "none") == "tanh"
    return lower.gelu(site.at, site.x, approximate=approximate)


@operator("HardSigmoid")
def hard_sigmoid(site: NodeSite) -> Operand:
    """A straight line between 0 and 1."""
    return lower.hard_sigmoid(site.at, site.x, site.real("alpha", 0.2), site.real("beta", 0.5))


@operator("Swish")
def swish(site: NodeSite) -> Operand:
    """X * sigmoid(alpha x)."""
    alpha, at = site.real("alpha", 1.0), site.at
    x = site.x
    scaled = x if alpha == 1 else lower.multiply(at, x, at.scalar(alpha))
    return lower.multiply(at, x, lower.sigmoid(at, scaled))


@operator("Tan")
def tan(site: NodeSite) -> Operand:
    """Sine over cosine."""
    at, x = site.at, site.x
    return lower.binary(at, "DIV", lower.unary(at, "SIN", x), lower.unary(at, "COS", x))


@operator("ThresholdedRelu")
def thresholded_relu(site: NodeSite) -> Operand:
    """X where it is above a threshold, 0 elsewhere."""
    at, x = site.at, site.x
    above = lower.binary(at, "GREATER", x, at.scalar(site.real("alpha", 1.0)))
    mask = at.add("CAST", [above], dtype="float32")
    return lower.multiply(at, x, mask)


# Abramowitz and Stegun, Handbook of Mathematical Functions, formula 7.1.26.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


@operator("Erf")
def erf(site: NodeSite) -> Operand:
    """The error function, from a polynomial that is right within 1.5e-7."""
    at, x = site.at, site.x
    size = lower.unary(at, "ABS", x)
    scaled = lower.multiply(at, size, at.scalar(0.3275911))
    t = lower.binary(at, "DIV", at.scalar(1.0), lower.add(at, scaled, at.scalar(1.0)))
    total: Operand = at.scalar(_ERF[-1])
    for factor in _ERF[-2::-1]:
        total = lower.add(at, lower.multiply(at, total, t), at.scalar(factor))
    total = lower.multiply(at, total, t)
    falling = lower.unary(at, "EXP", lower.unary(at, "NEG", lower.multiply(at, x, x)))
    magnitude = lower.subtract(at, at.scalar(1.0), lower.multiply(at, total, falling))
    return lower.multiply(at, lower.unary(at, "SIGN", x), magnitude)


@operator("Shrink")
def shrink(site: NodeSite) -> Operand:
    """Nearer to zero by a bias; zero within a threshold."""
    at, x = site.at, site.x
    lambd, bias = site.real("lambd", 0.5), site.real("bias", 0.0)

    def part(op: str, limit: float, shift: float) -> str:
        beyond = lower.binary(at, op, x, at.scalar(limit))
        mask = at.add("CAST", [beyond], dtype="float32")
        return lower.multiply(at, mask, lower.add(at, x, at.scalar(shift)))

    return lower.add(at, part("LESS", -lambd, bias), part("GREATER", lambd, -bias))


@operator("Sinh", "Cosh")
def hyperbolic(site: NodeSite) -> Operand:
    """Half of e^x minus or plus e^-x."""
    at, x = site.at, site.x
    up, down = lower.unary(at, "EXP", x), lower.unary(at, "EXP", lower.unary(at, "NEG", x))
    both = lower.subtract if site.op_type == "Sinh" else lower.add
    return lower.multiply(at, both(at, up, down), np.array([0.5], np.float32))
