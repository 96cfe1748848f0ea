"""Operators on known tensors, worked out in numpy: masks, positions, normalized weights.

Integers keep the 64 bits that PyTorch gives them, since positions are computed with them; floats
are float32. What is not in the table becomes an operator of the graph like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.frontends.lowering import Array
from smidgen.frontends.torch_export.program import Ref
from smidgen.frontends.torch_export.site import Site

MAX_ELEMENTS = 1 << 26  # of all known tensors together: 256 MB of floats

Evaluate = Callable[[Site], Array | list[Array]]
FOLD: dict[str, Evaluate] = {}


def evaluate(site: Site, limit: int = MAX_ELEMENTS) -> list[Array] | None:
    """The results of a call whose tensors are all known; None if there is no telling.

    Args:
        site: the call.
        limit: number of elements that the results may have.
    """
    function = FOLD.get(site.call.packet)
    if function is None:
        return None
    for output in range(len(site.call.outputs)):
        if site.used(output) and math.prod(site.result_shape(output)) > limit:
            raise site.refuse(f"it makes a constant of the shape {site.result_shape(output)}")
    with np.errstate(all="ignore"):
        found = function(site)
    results = found if isinstance(found, list) else [found]
    return [
        np.asanyarray(array, _dtype(site, i), order="C") if site.used(i) else array
        for i, array in enumerate(results)
    ]


def _dtype(site: Site, output: int) -> np.dtype[Any]:
    name = site.result(output).dtype
    try:
        return np.dtype(name)
    except TypeError:
        raise site.refuse(f"its result is of {name}") from None


def _given(site: Site, name: str) -> Array:
    """A tensor or a number, in 64 bits if it is one."""
    value = site.call.args.get(name)
    if isinstance(value, (bool, int, float)):
        return np.array(value)
    return site.array(name)


def _fits(site: Site, shape: tuple[int, ...]) -> None:
    """Check what a result is about to have, before it takes the memory, with what is stated."""
    if math.prod(shape) != math.prod(site.result_shape()):
        raise site.malformed(f"it makes {shape}, the program says {site.result_shape()}")


def _axes(site: Site) -> tuple[int, ...] | None:
    return site.integers("dim") if site.has("dim") and site.call.args["dim"] != [] else None


def _fill(value: float | None, name: str = "fill_value") -> Evaluate:
    def make(site: Site) -> Array:
        number = _given(site, name) if value is None else np.array(value)
        return np.full(site.result_shape(), number)

    return make


def _arange(site: Site) -> Array:
    start = site.number("start", 0)
    step = site.number("step", 1)
    (count,) = site.result_shape()
    return start + step * np.arange(count)


def _linspace(site: Site) -> Array:
    _fits(site, (site.integer("steps"),))
    return np.linspace(site.number("start"), site.number("end"), site.integer("steps"))


def _unary(function: Callable[[Array], Array]) -> Evaluate:
    return lambda site: function(site.array("self"))


def _binary(function: Callable[[Array, Array], Array], scaled: bool = False) -> Evaluate:
    def combine(site: Site) -> Array:
        a, b = _given(site, "self"), _given(site, "exponent" if site.has("exponent") else "other")
        if scaled and site.has("alpha"):
            b = b * site.number("alpha")
        _fits(site, np.broadcast_shapes(a.shape, b.shape))
        return function(a, b)

    return combine


def _divide(site: Site) -> Array:
    a, b = _given(site, "self"), _given(site, "other")
    _fits(site, np.broadcast_shapes(a.shape, b.shape))
    mode = site.text("rounding_mode", "")
    quotient = np.floor_divide(a, b) if mode == "floor" else np.true_divide(a, b)
    return np.trunc(quotient) if mode == "trunc" else quotient


def _reduce(function: Callable[..., Array]) -> Evaluate:
    return lambda site: function(
        site.array("self"), axis=_axes(site), keepdims=site.flag("keepdim")
    )


def _reshape(site: Site) -> Array:
    return site.array("self").reshape(site.result_shape())


def _transpose(site: Site) -> Array:
    x = site.array("self")
    if x.ndim < 2:
        return x
    return np.swapaxes(x, site.integer("dim0", 0), site.integer("dim1", 1))


def _slice(site: Site) -> Array:
    x, axis = site.array("self"), site.integer("dim", 0) % site.array("self").ndim
    start, end = (site.integer(n) if site.has(n) else None for n in ("start", "end"))
    taken: Array = x[(slice(None),) * axis + (slice(start, end, site.integer("step", 1)),)]
    return taken


def _select(site: Site) -> Array:
    taken: Array = np.take(site.array("self"), site.integer("index"), axis=site.integer("dim"))
    return taken


def _split(site: Site) -> list[Array]:
    axis = site.integer("dim", 0)
    sizes = [site.result_shape(i)[axis] for i in range(len(site.call.outputs))]
    return list(np.split(site.array("self"), np.cumsum(sizes)[:-1], axis))


def _arrays(site: Site) -> list[Array]:
    arrays: list[Array] = []
    for each in site.tensor_list("tensors"):
        assert not isinstance(each, str)  # the caller has looked
        arrays.append(each)
    return arrays


def _where(site: Site) -> Array:
    parts = [site.array("condition"), _given(site, "self"), _given(site, "other")]
    _fits(site, np.broadcast_shapes(*(part.shape for part in parts)))
    return np.where(*parts)


def _index(site: Site) -> Array:
    places: list[Any] = [
        site.resolve(each, "indices") if isinstance(each, Ref) else slice(None)
        for each in site.sequence("indices")
    ]
    taken: Array = site.array("self")[tuple(places)]
    return taken


def _norm(site: Site) -> Array:
    order = site.number("ord" if site.has("ord") else "p", 2)
    x: Array = np.abs(site.array("self").astype(np.float64))
    axes, keep = _axes(site), site.flag("keepdim")
    if order == float("inf"):
        largest: Array = x.max(axis=axes, keepdims=keep)
        return largest
    total: Array = (x**order).sum(axis=axes, keepdims=keep)
    return total ** (1 / order)


def _weight_norm(site: Site) -> list[Array]:
    """Salimans and Kingma, 2016: g * v / |v|, the norm over all axes but one."""
    v, g, axis = site.array("v"), site.array("g"), site.integer("dim", 0)
    others = tuple(i for i in range(v.ndim) if i != axis % v.ndim) if axis != -1 else None
    size = np.sqrt((v.astype(np.float64) ** 2).sum(axis=others, keepdims=True))
    return [v * (g / size), size]


def _repeat(site: Site) -> Array:
    times = site.integers("repeats" if site.has("repeats") else "dims")
    _fits(site, (site.array("self").size, *times))
    return np.tile(site.array("self"), times)


def _lookup(table: str, indices: str) -> Evaluate:
    def take(site: Site) -> Array:
        x, places = site.array(table), site.array(indices)
        axis = site.integer("dim", 0) % x.ndim
        _fits(site, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))
        return np.take(x, places, axis)

    return take


def _matmul(site: Site) -> Array:
    a, b = site.array("self"), site.array("mat2" if site.has("mat2") else "other")
    rows, columns = a.shape[-2:-1] if a.ndim > 1 else (), b.shape[-1:] if b.ndim > 1 else ()
    _fits(site, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *rows, *columns))
    return a @ b


def _cast(site: Site) -> Array:
    return site.array("src" if site.has("src") else "self")


def _triangle(function: Callable[..., Array]) -> Evaluate:
    return lambda site: function(site.array("self"), site.integer("diagonal", 0))


def _declare(names: str, function: Evaluate) -> None:
    FOLD.update(dict.fromkeys(names.split(), function))


_declare("zeros zeros_like new_zeros empty empty_like", _fill(0))
_declare("ones ones_like new_ones", _fill(1))
_declare("full full_like new_full", _fill(None))
_declare("scalar_tensor", _fill(None, "s"))
_declare("arange", _arange)
_declare("linspace", _linspace)
_declare("eye", lambda site: np.eye(site.result_shape()[0], site.result_shape()[-1]))
_declare("clone copy lift_fresh_copy lift_fresh _to_copy to type_as", _cast)
_declare("contiguous detach alias positive", _cast)
_declare("view reshape _unsafe_view _reshape_alias flatten unflatten squeeze unsqueeze", _reshape)
_declare("transpose t swapaxes numpy_T", _transpose)
_declare("permute", lambda site: site.array("self").transpose(site.integers("dims")))
_declare("expand expand_as", lambda site: np.broadcast_to(site.array("self"), site.result_shape()))
_declare("repeat tile", _repeat)
_declare("slice", _slice)
_declare("select", _select)
_declare("split split_with_sizes chunk", _split)
_declare("cat concat", lambda site: np.concatenate(_arrays(site), site.integer("dim", 0)))
_declare("stack", lambda site: np.stack(_arrays(site), site.integer("dim", 0)))
_declare("flip", lambda site: np.flip(site.array("self"), site.integers("dims")))
_declare("index", _index)
_declare("index_select", _lookup("self", "index"))
_declare("embedding", _lookup("weight", "indices"))
_declare("where", _where)
_declare("masked_fill", lambda s: np.where(s.array("mask"), _given(s, "value"), s.array("self")))
_declare("tril", _triangle(np.tril))
_declare("triu", _triangle(np.triu))
_declare("abs", _unary(np.abs))
_declare("neg", _unary(np.negative))
_declare("exp", _unary(np.exp))
_declare("log", _unary(np.log))
_declare("sqrt", _unary(np.sqrt))
_declare("rsqrt", _unary(lambda x: 1 / np.sqrt(x)))
_declare("reciprocal", _unary(lambda x: 1 / x))
_declare("sin", _unary(np.sin))
_declare("cos", _unary(np.cos))
_declare("floor", _unary(np.floor))
_declare("ceil", _unary(np.ceil))
_declare("logical_not bitwise_not", _unary(np.logical_not))
_declare("tanh", _unary(np.tanh))
_declare("sigmoid", _unary(lambda x: 1 / (1 + np.exp(-x.astype(np.float64)))))
_declare("relu", _unary(lambda x: np.maximum(x, 0)))
_declare("add", _binary(np.add, scaled=True))
_declare("sub", _binary(np.subtract, scaled=True))
_declare("rsub", _binary(lambda a, b: b - a))
_declare("mul", _binary(np.multiply))
_declare("div", _divide)
_declare("floor_divide", _binary(np.floor_divide))
_declare("remainder", _binary(np.remainder))
_declare("pow", _binary(np.power))
_declare("maximum", _binary(np.maximum))
_declare("minimum", _binary(np.minimum))
_declare("eq", _binary(np.equal))
_declare("ne", _binary(np.not_equal))
_declare("lt", _binary(np.less))
_declare("le", _binary(np.less_equal))
_declare("gt", _binary(np.greater))
_declare("ge", _binary(np.greater_equal))
_declare("logical_and bitwise_and", _binary(np.logical_and))
_declare("logical_or bitwise_or", _binary(np.logical_or))
_declare("matmul mm bmm", _matmul)
_declare("sum", _reduce(np.sum))
_declare("mean", _reduce(np.mean))
_declare("amax", _reduce(np.max))
_declare("amin", _reduce(np.min))
_declare("cumsum", lambda site: np.cumsum(site.array("self"), site.integer("dim")))
_declare("linalg_vector_norm norm norm_except_dim", _norm)
_declare("_weight_norm _weight_norm_interface", _weight_norm)
