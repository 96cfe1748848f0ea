"""Arithmetic of whole tensors: merges, `keras.ops` functions, and scaling by constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.frontends.keras.site import Array, LayerSite, layer, operation
from smidgen.frontends.keras.spec import LayerSpec


def _chain(site: LayerSite, op: str) -> str:
    """All operands combined from left to right."""
    if len(site.inputs) < len(site.args):  # x + 1: an .h5 file does not tell it from the layer
        return _binary(site, op)
    if len(site.inputs) < 2 or len({len(site.shape(x)) for x in site.inputs}) > 1:
        shapes = ", ".join(str(site.shape(x)) for x in site.inputs)
        raise site.refuse(
            f"its inputs have the shapes {shapes}",
            hint="give two or more of equally many dimensions",
        )
    value, *others = site.inputs
    for position, other in enumerate(others):
        last = position == len(others) - 1
        value = site.add(op, [value, other], "" if last else f"partial_{position}")
    return value


@layer("Add")
def add(site: LayerSite) -> str:
    """The sum."""
    return _chain(site, "ADD")


@layer("Multiply")
def multiply(site: LayerSite) -> str:
    """The product."""
    return _chain(site, "MUL")


@layer("Maximum")
def maximum(site: LayerSite) -> str:
    """The largest of each element."""
    return _chain(site, "MAXIMUM")


@layer("Minimum")
def minimum(site: LayerSite) -> str:
    """The smallest of each element."""
    return _chain(site, "MINIMUM")


@layer("Subtract")
def subtract(site: LayerSite) -> str:
    """The difference of two."""
    if len(site.args) != 2:
        raise site.malformed(f"it has {len(site.args)} inputs, not 2")
    return _chain(site, "SUB")


@layer("Average")
def average(site: LayerSite) -> str:
    """The sum, times one over the number of operands."""
    total = _chain(site, "ADD")
    share = site.constant("share", lambda: np.array([1.0 / len(site.inputs)]))
    return site.add("MUL", [total, share], "mean")


def _binary(site: LayerSite, op: str) -> str:
    """An operator x op y of `keras.ops`, where one of the two may be a number or an array."""
    if len(site.args) != 2:
        raise site.refuse(f"it is called with {len(site.args)} arguments, not 2")
    operands: list[str | None] = []
    for position, arg in enumerate(site.args):
        operands.append(arg if isinstance(arg, str) else _constant_argument(site, position, arg))
    return site.add(op, operands)


def _constant_argument(site: LayerSite, position: int, arg: Any) -> str:
    array = site.numbers(f"its argument {position}", arg)
    return site.constant(f"{site.name}/argument_{position}", lambda: np.atleast_1d(array))


@operation("Add")
def add_operation(site: LayerSite) -> str:
    """The sum x + y."""
    return _binary(site, "ADD")


@operation("Subtract")
def subtract_operation(site: LayerSite) -> str:
    """The difference x - y."""
    return _binary(site, "SUB")


@operation("Divide", "TrueDivide")
def divide_operation(site: LayerSite) -> str:
    """The quotient x / y."""
    return _binary(site, "DIV")


@operation("Maximum")
def maximum_operation(site: LayerSite) -> str:
    """The larger of x and y."""
    return _binary(site, "MAXIMUM")


@operation("Minimum")
def minimum_operation(site: LayerSite) -> str:
    """The smaller of x and y."""
    return _binary(site, "MINIMUM")


@operation("Multiply")
def multiply_operation(site: LayerSite) -> str:
    """The product x * y."""
    return _binary(site, "MUL")


# -- scaling by constants -------------------------------------------------------------------------


def _scaled(site: LayerSite, make: Callable[[], tuple[Array, Array]]) -> str:
    """The operand times one constant plus another; a factor of 1 and a term of 0 are left out."""
    factor, term = make()
    value = site.input
    if (factor != 1).any():
        scale = site.constant("scale", lambda: factor)
        value = site.add("MUL", [value, scale], "scaled" if (term != 0).any() else "")
    if (term != 0).any():
        value = site.add("ADD", [value, site.constant("offset", lambda: term)])
    return value


def _vector(site: LayerSite, key: str, default: Any) -> Array:
    """A configuration value that is a number, or a list with one for each channel."""
    array = site.array(key, default)
    channels = site.shape(site.input)[-1]
    if array.size not in (1, channels):
        raise site.malformed(f"its {key} has {array.size} values for {channels} channels")
    return array


@layer("Rescaling")
def rescaling(site: LayerSite) -> str:
    """The input times a constant, plus another."""
    return _scaled(site, lambda: (_vector(site, "scale", 1.0), _vector(site, "offset", 0.0)))


def _normalization_roles(spec: LayerSpec) -> tuple[str, ...]:
    return () if spec.config.get("mean") is not None else ("mean", "variance", "count")


@layer("Normalization", roles=_normalization_roles)
def normalization(site: LayerSite) -> str:
    """(x - mean) / max(sqrt(variance), 1e-7), per channel or over everything."""
    if site.get("invert"):
        raise site.refuse("it is inverted (it undoes a normalization)", hint="use Rescaling")
    rank = len(site.shape(site.input))
    whole = site.get("axis", -1) in (None, [], ())
    if not whole and site.axis(rank) != rank - 1:
        raise site.refuse(f"its axis is {site.get('axis')!r}", hint="use axis=-1 or axis=None")

    def make() -> tuple[Array, Array]:
        if site.spec.weights:
            shape = () if whole else (site.shape(site.input)[-1],)
            mean, variance = (site.weight(role, shape).ravel() for role in ("mean", "variance"))
        else:
            mean, variance = _vector(site, "mean", None), _vector(site, "variance", None)
        if (variance < 0).any():
            raise site.malformed("its variance is negative")
        deviation = np.maximum(np.sqrt(variance, dtype=np.float32), np.float32(1e-7))
        return 1 / deviation, -mean / deviation

    return _scaled(site, make)
