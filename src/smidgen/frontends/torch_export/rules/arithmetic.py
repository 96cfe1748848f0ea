"""Arithmetic, element by element, and what leaves elements as they are."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Operand
from smidgen.frontends.torch_export.site import RULES, Result, Site, rule

_UNARY = {
    "abs": "ABS",
    "neg": "NEG",
    "exp": "EXP",
    "log": "LOG",
    "sqrt": "SQRT",
    "rsqrt": "RSQRT",
    "sin": "SIN",
    "cos": "COS",
    "floor": "FLOOR",
    "ceil": "CEIL",
    "round": "ROUND",
    "sign": "SIGN",
    "square": "SQUARE",
    "logical_not": "LOGICAL_NOT",
}
_BINARY = {
    "maximum": "MAXIMUM",
    "minimum": "MINIMUM",
    "floor_divide": "FLOOR_DIV",
    "eq": "EQUAL",
    "ne": "NOT_EQUAL",
    "lt": "LESS",
    "le": "LESS_EQUAL",
    "gt": "GREATER",
    "ge": "GREATER_EQUAL",
    "logical_and": "LOGICAL_AND",
    "logical_or": "LOGICAL_OR",
}


def operands(site: Site, *names: str) -> list[Operand]:
    """Operands that broadcast: what was expanded for the purpose is taken as it was."""
    found = [site.operand(name) for name in names]
    narrow = [site.sources.get(x, x) if isinstance(x, str) else x for x in found]
    try:
        shape = np.broadcast_shapes(*(site.at.shape(x) for x in narrow))
    except ValueError:
        return found
    return narrow if shape == site.result_shape() else found


def _register_unary(name: str, op: str) -> None:
    RULES[name] = lambda site: lowering.unary(site.at, op, site.tensor("self"))


def _register_binary(name: str, op: str) -> None:
    RULES[name] = lambda site: lowering.binary(site.at, op, *operands(site, "self", "other"))


for _name, _op in _UNARY.items():
    _register_unary(_name, _op)
for _name, _op in _BINARY.items():
    _register_binary(_name, _op)


def _scaled(site: Site, other: Operand) -> Operand:
    alpha = site.number("alpha", 1)
    if alpha == 1:
        return other
    if isinstance(other, str):
        return lowering.multiply(site.at, other, site.at.scalar(alpha))
    return (other * np.float32(alpha)).astype(np.float32)


@rule("add")
def add(site: Site) -> Result:
    """`self` + alpha * other."""
    a, b = operands(site, "self", "other")
    return lowering.add(site.at, a, _scaled(site, b))


@rule("sub", "subtract")
def sub(site: Site) -> Result:
    """`self` - alpha * other."""
    a, b = operands(site, "self", "other")
    return lowering.subtract(site.at, a, _scaled(site, b))


@rule("rsub")
def rsub(site: Site) -> Result:
    """`other` - alpha * self."""
    a, b = operands(site, "other", "self")
    return lowering.subtract(site.at, a, _scaled(site, b))


@rule("mul", "multiply")
def mul(site: Site) -> Result:
    """`self` * other."""
    return lowering.multiply(site.at, *operands(site, "self", "other"))


@rule("div", "divide", "true_divide")
def div(site: Site) -> Result:
    """`self` / other, perhaps rounded down."""
    at, mode = site.at, site.text("rounding_mode", "")
    a, b = operands(site, "self", "other")
    if mode == "floor":
        return lowering.binary(at, "FLOOR_DIV", a, b)
    if mode:
        raise site.refuse(f"its rounding_mode is {mode!r}", hint='use "floor", or none')
    return lowering.divide(at, a, b)


@rule("reciprocal")
def reciprocal(site: Site) -> Result:
    """1 / x."""
    return lowering.binary(site.at, "DIV", site.at.scalar(1.0), site.tensor("self"))


@rule("pow")
def power(site: Site) -> Result:
    """`self` to a power."""
    return lowering.power(site.at, *operands(site, "self", "exponent"))


@rule("log1p")
def log1p(site: Site) -> Result:
    """log(1 + x)."""
    return lowering.unary(
        site.at, "LOG", lowering.add(site.at, site.tensor("self"), site.at.scalar(1.0))
    )


@rule("expm1")
def expm1(site: Site) -> Result:
    """e^x - 1."""
    e = lowering.unary(site.at, "EXP", site.tensor("self"))
    return lowering.add(site.at, e, site.at.scalar(-1.0))


@rule("addcmul", "addcdiv")
def addc(site: Site) -> Result:
    """`self` + value * a * b, or self + value * a / b."""
    at, value = site.at, site.number("value", 1)
    combine = lowering.multiply if site.call.packet == "addcmul" else lowering.divide
    y = combine(at, site.operand("tensor1"), site.operand("tensor2"))
    if value != 1:
        y = lowering.multiply(at, y, at.scalar(value))
    return lowering.add(at, site.operand("self"), y)


@rule("lerp")
def lerp(site: Site) -> Result:
    """`self` + weight * (end - self)."""
    at, start = site.at, site.operand("self")
    difference = lowering.subtract(at, site.operand("end"), start)
    return lowering.add(at, start, lowering.multiply(at, difference, site.operand("weight")))


def _condition(site: Site, name: str) -> Operand:
    value = site.tensor(name)
    return value if isinstance(value, str) else value.astype(bool)


@rule("where")
def where(site: Site) -> Result:
    """`self` where the condition holds, `other` elsewhere."""
    parts = [_condition(site, "condition"), site.operand("self"), site.operand("other")]
    return site.at.add("SELECT_V2", [_finite(part) for part in parts])


@rule("masked_fill")
def masked_fill(site: Site) -> Result:
    """A value where the mask is true."""
    value = _finite(site.operand("value"))
    return site.at.add("SELECT_V2", [_condition(site, "mask"), value, site.operand("self")])


def _finite(x: Operand) -> Operand:
    """Infinities, which mask attention, as the largest floats: kernels need numbers."""
    if isinstance(x, str) or x.dtype.kind != "f":
        return x
    limit = np.finfo(np.float32).max
    return np.clip(x if x.ndim else x.reshape(1), -limit, limit)


@rule("dropout", "feature_dropout", "alpha_dropout", "native_dropout", view=True)
def dropout(site: Site) -> Result:
    """Nothing at inference."""
    if site.flag("train", True) and site.number("p", 0.5) > 0:
        raise site.refuse("it is in training mode", hint="call model.eval() before exporting it")
    return [site.tensor("input"), None]


@rule("clone", "copy", "lift_fresh_copy", "_to_copy", "positive")
def copy(site: Site) -> Result:
    """The same elements, in another dtype if one is named."""
    return _cast(site, site.tensor("src" if site.has("src") else "self"))


@rule("contiguous", "detach", "alias", "to", "type_as", "lift_fresh", "view_as_real", view=True)
def same(site: Site) -> Result:
    """The same elements, in another dtype if one is named."""
    return _cast(site, site.tensor("self"))


def _cast(site: Site, x: Operand) -> Result:
    """Floats are float32 here, and indices int32, whatever their width there."""
    wanted = site.result().dtype
    wanted = "int32" if wanted == "int64" else wanted
    if not isinstance(x, str):
        return x.astype(site.result().dtype)
    given = site.at.type(x).dtype
    if given == wanted:
        return x
    return site.at.add("CAST", [x], dtype=wanted)
