"""Activations."""

from __future__ import annotations

from collections.abc import Callable

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Lowering, Operand
from smidgen.frontends.torch_export.site import RULES, Result, Site, rule

_SIMPLE: dict[str, Callable[[Lowering, Operand], str]] = {
    "relu": lowering.relu,
    "relu6": lowering.relu6,
    "sigmoid": lowering.sigmoid,
    "tanh": lowering.tanh,
    "silu": lowering.silu,
    "mish": lowering.mish,
    "hardswish": lowering.hard_swish,
    "hardsigmoid": lowering.hard_sigmoid,
    "selu": lowering.selu,
}


def _register(name: str, function: Callable[[Lowering, Operand], str]) -> None:
    RULES[name] = lambda site: function(site.at, site.tensor("self"))


for _name, _function in _SIMPLE.items():
    _register(_name, _function)


@rule("hardtanh")
def hardtanh(site: Site) -> Result:
    """Limited to [-1, 1] or other bounds; from 0 to 6 it is RELU6."""
    low, high = site.number("min_val", -1), site.number("max_val", 1)
    return lowering.clip(site.at, site.tensor("self"), low, high)


@rule("clamp", "clip", "clamp_min", "clamp_max")
def clamp(site: Site) -> Result:
    """Limited by numbers or tensors, either of which may be left out."""
    at, x = site.at, site.tensor("self")
    bounds = [site.operand(name) if site.has(name) else None for name in ("min", "max")]
    numbers = [
        None if b is None else float(b.reshape(-1)[0])
        for b in bounds
        if b is None or (not isinstance(b, str) and b.size == 1)
    ]
    if len(numbers) == 2:
        return lowering.clip(at, x, *numbers)
    for op, bound in zip(("MAXIMUM", "MINIMUM"), bounds, strict=True):
        if bound is not None:
            x = lowering.binary(at, op, x, bound)
    return x


@rule("leaky_relu")
def leaky_relu(site: Site) -> Result:
    """The slope is 0.01 unless it is given."""
    return lowering.leaky_relu(site.at, site.tensor("self"), site.number("negative_slope", 0.01))


@rule("rrelu")
def rrelu(site: Site) -> Result:
    """At inference the mean of the two slopes."""
    if site.flag("training"):
        raise site.refuse("it draws random slopes", hint="call model.eval() before exporting it")
    slope = (site.number("lower", 1 / 8) + site.number("upper", 1 / 3)) / 2
    return lowering.leaky_relu(site.at, site.tensor("self"), slope)


@rule("prelu", "_prelu_kernel")
def prelu(site: Site) -> Result:
    """Slopes for each channel, or one for all."""
    return lowering.prelu(site.at, site.tensor("self"), site.array("weight"))


@rule("elu")
def elu(site: Site) -> Result:
    """Scaled outside and inside, with alpha."""
    at, x = site.at, site.tensor("self")
    inner, scale = site.number("input_scale", 1), site.number("scale", 1)
    alpha = site.number("alpha", 1)
    if inner != 1:  # SELU and CELU are spelled so in some versions
        return _scaled_elu(site, x, alpha, scale, inner)
    y = lowering.elu(at, x, alpha)
    return y if scale == 1 else lowering.multiply(at, y, at.scalar(scale))


def _scaled_elu(site: Site, x: Operand, alpha: float, scale: float, inner: float) -> str:
    """`scale` * (max(x, 0) + alpha * (e^(inner * min(x, 0)) - 1))."""
    at = site.at
    negative = lowering.binary(at, "MINIMUM", x, at.scalar(0.0))
    curved = lowering.elu(at, lowering.multiply(at, negative, at.scalar(inner)))
    y = lowering.add(at, lowering.relu(at, x), lowering.multiply(at, curved, at.scalar(alpha)))
    return y if scale == 1 else lowering.multiply(at, y, at.scalar(scale))


@rule("celu")
def celu(site: Site) -> Result:
    """max(x, 0) + alpha * (e^(min(x, 0) / alpha) - 1)."""
    alpha = site.number("alpha", 1)
    return _scaled_elu(site, site.tensor("self"), alpha, 1, 1 / alpha)


@rule("gelu")
def gelu(site: Site) -> Result:
    """By the normal distribution, or its approximation by tanh."""
    approximate = site.text("approximate", "none") == "tanh"
    return lowering.gelu(site.at, site.tensor("self"), approximate=approximate)


@rule("softplus")
def softplus(site: Site) -> Result:
    """log(1 + e^(beta x)) / beta; beyond the threshold it is x within float rounding."""
    at, beta = site.at, site.number("beta", 1)
    if beta == 1:
        return lowering.softplus(at, site.tensor("self"))
    scaled = lowering.multiply(at, site.tensor("self"), at.scalar(beta))
    return lowering.multiply(at, lowering.softplus(at, scaled), at.scalar(1 / beta))


@rule("log_sigmoid", "log_sigmoid_forward")
def log_sigmoid(site: Site) -> Result:
    """-softplus(-x)."""
    at = site.at
    negative = lowering.unary(at, "NEG", site.tensor("self"))
    return [lowering.unary(at, "NEG", lowering.softplus(at, negative)), None]


@rule("softmax", "_softmax", "_safe_softmax")
def softmax(site: Site) -> Result:
    """Along any axis."""
    return lowering.softmax(site.at, site.tensor("self"), site.integer("dim"))


@rule("log_softmax", "_log_softmax")
def log_softmax(site: Site) -> Result:
    """Along any axis."""
    return lowering.log_softmax(site.at, site.tensor("self"), site.integer("dim"))


@rule("glu")
def glu(site: Site) -> Result:
    """One half times the sigmoid of the other."""
    at, x, axis = site.at, site.tensor("self"), site.integer("dim", -1)
    half = at.shape(x)[at.axis(x, axis)] // 2
    a, b = lowering.split(at, x, (half, half), axis)
    return lowering.multiply(at, a, lowering.sigmoid(at, b))


@rule("threshold")
def threshold(site: Site) -> Result:
    """`x` where it is above the threshold, a value elsewhere."""
    at, x = site.at, site.tensor("self")
    if (site.number("threshold"), site.number("value")) == (0, 0):
        return lowering.relu(at, x)
    above = lowering.binary(at, "GREATER", x, at.scalar(site.number("threshold")))
    return at.add("SELECT_V2", [above, x, at.scalar(site.number("value"))])


@rule("hardshrink", "softshrink")
def shrink(site: Site) -> Result:
    """Nothing within [-lambd, lambd]; softshrink also moves what is outside towards 0."""
    at, x, limit = site.at, site.tensor("self"), site.number("lambd", 0.5)
    inside = lowering.clip(at, x, -limit, limit)
    moved = lowering.subtract(at, x, inside)
    if site.call.packet == "softshrink":
        return moved
    outside = lowering.binary(at, "GREATER", lowering.unary(at, "ABS", x), at.scalar(limit))
    return at.add("SELECT_V2", [outside, x, at.scalar(0.0)])
