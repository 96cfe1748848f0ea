"""Arithmetic, comparisons and logic, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import Array

Function = Callable[..., Array]


def folded(site: NodeSite, function: Function) -> Array | None:
    """The result of a numpy function if every operand is a constant in ONNX's own type."""
    arrays = [site.source(i) for i in range(len(site)) if site.has(i)]
    constants = [a for a in arrays if not isinstance(a, str)]
    if len(constants) < len(arrays):
        return None
    site.reserve(np.broadcast_shapes(*(a.shape for a in constants)), 8)
    with np.errstate(all="ignore"):
        return np.asarray(function(*constants))


def _binary(op: str, function: Function) -> Callable[[NodeSite], Operand]:
    def rule(site: NodeSite) -> Operand:
        constant = folded(site, function)
        if constant is not None:
            return constant
        return lower.binary(site.at, op, site.operand(0), second(site))

    return rule


def second(site: NodeSite) -> Operand:
    """The second operand; before opset 7 an attribute says which axes it lines up with."""
    b = site.operand(1)
    if site.version >= 7 or not site.flag("broadcast") or "axis" not in site.attributes:
        return b
    rank, shape = len(site.shape(0)), site.shape(b)
    axis = site.axis(rank)
    wider = (*shape, *(1,) * (rank - axis - len(shape)))
    return lower.reshape(site.at, b, wider) if isinstance(b, str) else b.reshape(wider)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not np.all(b):
        raise ValueError("division by zero")
    quotient = np.abs(a) // np.abs(b)  # ONNX rounds towards zero
    return np.asarray(np.where((a < 0) == (b < 0), quotient, -quotient).astype(a.dtype))


def _power(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu" and np.any(np.asarray(b) < 0):
        return np.asarray(np.power(a.astype(np.float64), b).astype(a.dtype))
    return np.asarray(np.power(a, b).astype(a.dtype))


operator("Add")(_binary("ADD", np.add))
operator("Sub")(_binary("SUB", np.subtract))
operator("Mul")(_binary("MUL", np.multiply))
operator("Less")(_binary("LESS", np.less))
operator("LessOrEqual")(_binary("LESS_EQUAL", np.less_equal))
operator("Greater")(_binary("GREATER", np.greater))
operator("GreaterOrEqual")(_binary("GREATER_EQUAL", np.greater_equal))
operator("Equal")(_binary("EQUAL", np.equal))
operator("And")(_binary("LOGICAL_AND", np.logical_and))
operator("Or")(_binary("LOGICAL_OR", np.logical_or))
operator("Xor")(_binary("NOT_EQUAL", np.logical_xor))


@operator("Div")
def div(site: NodeSite) -> Operand:
    """The quotient; integers round towards zero."""
    constant = folded(site, _divide)
    if constant is not None:
        return constant
    a, b = site.operand(0), second(site)
    if site.dtype(a).kind == "f":
        return lower.divide(site.at, a, b)
    # LiteRT divides integers rounding down, which is the same for what is not negative.
    raise site.refuse("it divides integers", hint="cast them to float before the division")


@operator("Pow")
def pow(site: NodeSite) -> Operand:
    """X to a power, in the type of x."""
    constant = folded(site, _power)
    if constant is not None:
        return constant
    exponent = site.operand(1)
    if site.dtype(exponent).kind != "f" and not isinstance(exponent, str):
        exponent = exponent.astype(np.float32)
    return lower.power(site.at, site.x, exponent)


@operator("Mod")
def mod(site: NodeSite) -> Operand:
    """The remainder, of the divisor's sign, or of the dividend's with fmod."""
    fmod = site.flag("fmod")
    constant = folded(site, np.fmod if fmod else np.mod)
    if constant is not None:
        return constant
    if fmod:
        raise site.refuse("its remainder has the sign of the dividend (fmod)", hint="use fmod=0")
    return lower.binary(site.at, "FLOOR_MOD", site.operand(0), site.operand(1))


def _chain(op: str, function: Function) -> Callable[[NodeSite], Operand]:
    """A function of two applied to any number of operands, from left to right."""

    def rule(site: NodeSite) -> Operand:
        def together(*arrays: Array) -> Array:
            result = arrays[0]
            for array in arrays[1:]:
                result = function(result, array)
            return result

        constant = folded(site, together)
        if constant is not None:
            return constant
        result: Operand = site.operand(0)
        for place in range(1, len(site)):
            result = lower.binary(site.at, op, result, site.operand(place))
        return result

    return rule


operator("Sum")(_chain("ADD", np.add))
operator("Max")(_chain("MAXIMUM", np.maximum))
operator("Min")(_chain("MINIMUM", np.minimum))


@operator("Mean")
def mean(site: NodeSite) -> Operand:
    """The mean of all operands."""
    total = _chain("ADD", np.add)(site)
    if not isinstance(total, str):
        return np.asarray((total / len(site)).astype(total.dtype))
    return lower.multiply(site.at, total, site.at.scalar(1 / len(site)))


def _round(x: Array) -> Array:
    return np.asarray(np.rint(x))


UNARY: dict[str, tuple[str, Function]] = {
    "Abs": ("ABS", np.abs),
    "Ceil": ("CEIL", np.ceil),
    "Cos": ("COS", np.cos),
    "Exp": ("EXP", np.exp),
    "Floor": ("FLOOR", np.floor),
    "Log": ("LOG", np.log),
    "Neg": ("NEG", np.negative),
    "Not": ("LOGICAL_NOT", np.logical_not),
    "Round": ("ROUND", _round),
    "Sign": ("SIGN", np.sign),
    "Sin": ("SIN", np.sin),
    "Sqrt": ("SQRT", np.sqrt),
}


def _unary(op: str, function: Function) -> Callable[[NodeSite], Operand]:
    def rule(site: NodeSite) -> Operand:
        constant = folded(site, function)
        return lower.unary(site.at, op, site.x) if constant is None else constant

    return rule


for _name, (_op, _function) in UNARY.items():
    operator(_name)(_unary(_op, _function))


@operator("Reciprocal")
def reciprocal(site: NodeSite) -> Operand:
    """1 / x."""
    constant = folded(site, np.reciprocal)
    if constant is not None:
        return constant
    return lower.binary(site.at, "DIV", site.at.scalar(1.0), site.x)


@operator("Where")
def where(site: NodeSite) -> Operand:
    """The second operand where the first is true, the third elsewhere."""
    constant = folded(site, np.where)
    if constant is not None:
        return constant
    condition, a, b = (site.operand(i) for i in range(3))
    chosen = site.known(0)
    if chosen is not None and chosen.size == 1:
        return _broadcast(site, a if chosen.ravel()[0] else b, (condition, a, b))
    return site.at.add("SELECT_V2", [condition, a, b])


def _broadcast(site: NodeSite, x: Operand, operands: tuple[Operand, ...]) -> Operand:
    shape = np.broadcast_shapes(*(site.shape(o) for o in operands))
    return lower.expand(site.at, x, shape)


_INTEGER_LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535)}


@operator("Cast", "CastLike")
def cast(site: NodeSite) -> Operand:
    """The same numbers in another element type, as near as graphs have it."""
    from smidgen.frontends.onnx.tensors import HALF_BYTES, dtype_of, graph_dtype

    if site.op_type == "CastLike":
        if not site.has(1):
            raise site.malformed("it has no second operand")
        like = site.source(1)
        wanted = site.dtype(like)
    else:
        wanted = dtype_of(site.integer("to"), site.label)
    x = site.source(0)
    if site.op_type == "Cast" and site.integer("to") in HALF_BYTES:
        raise site.refuse("it casts to 4 bits", hint="cast to int8")
    if not isinstance(x, str):
        if wanted.kind in "iu" and x.dtype.kind == "f":
            x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        with np.errstate(all="ignore"):
            return x.astype(wanted)
    have, become = site.at.type(x).dtype, graph_dtype(wanted)
    if have == become:
        return x
    if site.at.type(x).quant is not None:
        raise site.refuse(
            "it takes quantized integers as plain numbers",
            hint="use DequantizeLinear",
        )
    return site.at.add("CAST", [x], dtype=become)


@operator("IsNaN")
def is_nan(site: NodeSite) -> Operand:
    """Whether an element is not a number: whether it differs from itself."""
    constant = folded(site, np.isnan)
    return lower.binary(site.at, "NOT_EQUAL", site.x, site.x) if constant is None else constant


@operator("Clip")
def clip(site: NodeSite) -> Operand:
    """Elements limited to a range, of attributes before opset 11 and of operands since."""
    if site.version < 11:
        low: Any = site.attributes.get("min")
        high: Any = site.attributes.get("max")
    else:
        low = site.number(1, "lower limit") if site.has(1) else None
        high = site.number(2, "upper limit") if site.has(2) else None
    x = site.source(0)
    if not isinstance(x, str):
        return np.asarray(np.clip(x, low, high), x.dtype)
    largest = float(np.finfo(np.float32).max)
    low = None if low is None or low <= -largest else low
    high = None if high is None or high >= largest else high
    if low is not None and high is not None and low > high:  # ONNX: everything becomes the upper
        low = high
    return lower.clip(site.at, x, low, high)


@operator("Identity", "Dropout")
def identity(site: NodeSite) -> list[Operand | None]:
    """The operand; the mask of a Dropout is not there to be read."""
    if site.op_type == "Dropout" and site.has(2) and np.any(site.constant(2, "training_mode")):
        raise site.refuse("it is in training mode", hint="export the model for inference")
    return [site.source(0), None]
