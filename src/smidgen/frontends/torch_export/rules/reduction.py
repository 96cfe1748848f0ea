"""Operators that take one number of many."""

from __future__ import annotations

from smidgen.frontends import lowering
from smidgen.frontends.torch_export.site import Result, Site, rule

_REDUCTIONS = {
    "mean": "MEAN",
    "sum": "SUM",
    "amax": "REDUCE_MAX",
    "amin": "REDUCE_MIN",
    "prod": "REDUCE_PROD",
    "any": "REDUCE_ANY",
    "all": "REDUCE_ALL",
}


def _axes(site: Site) -> tuple[int, ...] | None:
    """The axes; all of them where none is named."""
    return site.integers("dim") if site.has("dim") and site.call.args["dim"] != [] else None


@rule(*_REDUCTIONS)
def reduction(site: Site) -> Result:
    """Over some axes or all."""
    op = _REDUCTIONS[site.call.packet]
    return lowering.reduce(site.at, op, site.tensor("self"), _axes(site), site.flag("keepdim"))


@rule("max", "min")
def extremum(site: Site) -> Result:
    """Over everything, along one axis with the positions, or of two tensors."""
    at, name = site.at, site.call.packet
    if site.has("other"):
        op = "MAXIMUM" if name == "max" else "MINIMUM"
        return lowering.binary(at, op, site.operand("self"), site.operand("other"))
    x, keep = site.tensor("self"), site.flag("keepdim")
    values = lowering.reduce(at, f"REDUCE_{name.upper()}", x, _axes(site), keep)
    if not site.has("dim") or not site.used(1):
        return [values, None]
    return [values, lowering.arg(at, f"ARG_{name.upper()}", x, site.integer("dim"), keep)]


@rule("argmax", "argmin")
def position(site: Site) -> Result:
    """Along one axis, or of the flattened tensor."""
    at, x = site.at, site.tensor("self")
    op = "ARG_MAX" if site.call.packet == "argmax" else "ARG_MIN"
    if site.has("dim"):
        return lowering.arg(at, op, x, site.integer("dim"), site.flag("keepdim"))
    flat = lowering.flatten(at, x, 0)
    return lowering.reshape(at, lowering.arg(at, op, flat, 0, True), site.result_shape())


def _variance(site: Site) -> tuple[str, str]:
    """Mean and variance, both with the axes kept."""
    at, x = site.at, site.tensor("self")
    axes, shape = _axes(site), at.shape(x)
    chosen = range(len(shape)) if axes is None else [at.axis(x, axis) for axis in axes]
    count = 1
    for axis in chosen:
        count *= shape[axis]
    correction = site.number("correction", 1) if site.has("correction") else 1.0
    if site.call.args.get("unbiased") is False:
        correction = 0.0
    mean = lowering.reduce(at, "MEAN", x, tuple(chosen), True)
    centred = lowering.subtract(at, x, mean)
    squares = lowering.multiply(at, centred, centred)
    variance = lowering.reduce(at, "MEAN", squares, tuple(chosen), True)
    if correction:
        factor = at.scalar(count / max(count - correction, 1e-30))
        variance = lowering.multiply(at, variance, factor)
    return mean, variance


@rule("var", "std")
def variance(site: Site) -> Result:
    """Over some axes, with or without Bessel's correction."""
    y = _variance(site)[1]
    if site.call.packet == "std":
        y = lowering.unary(site.at, "SQRT", y)
    return lowering.reshape(site.at, y, site.result_shape())


@rule("var_mean", "std_mean")
def variance_and_mean(site: Site) -> Result:
    """Both at once."""
    mean, y = _variance(site)
    if site.call.packet == "std_mean":
        y = lowering.unary(site.at, "SQRT", y)
    shape = site.result_shape()
    return [lowering.reshape(site.at, part, shape) for part in (y, mean)]


@rule("linalg_vector_norm", "norm", "frobenius_norm")
def norm(site: Site) -> Result:
    """The 1-, 2- or maximum norm over some axes."""
    at, x, keep = site.at, site.tensor("self"), site.flag("keepdim")
    order = site.number("ord" if site.has("ord") else "p", 2)
    axes = _axes(site)
    if order == 2:
        squares = lowering.reduce(at, "SUM", lowering.multiply(at, x, x), axes, keep)
        return lowering.unary(at, "SQRT", squares)
    sizes = lowering.unary(at, "ABS", x)
    if order == 1:
        return lowering.reduce(at, "SUM", sizes, axes, keep)
    if order == float("inf"):
        return lowering.reduce(at, "REDUCE_MAX", sizes, axes, keep)
    raise site.refuse(f"it is the {order}-norm", hint="use the 1-, 2- or maximum norm")


@rule("logsumexp")
def logsumexp(site: Site) -> Result:
    """log(sum(e^x)), shifted by the maximum so that nothing overflows."""
    at, x, axes = site.at, site.tensor("self"), _axes(site)
    largest = lowering.reduce(at, "REDUCE_MAX", x, axes, True)
    shifted = lowering.unary(at, "EXP", lowering.subtract(at, x, largest))
    total = lowering.unary(at, "LOG", lowering.reduce(at, "SUM", shifted, axes, True))
    return lowering.reshape(at, lowering.add(at, total, largest), site.result_shape())


@rule("cumsum")
def cumsum(site: Site) -> Result:
    """Sums of everything up to each position."""
    x = site.tensor("self")
    axis = site.at.axis(x, site.integer("dim"))
    return site.at.add("CUMSUM", [x], axis=axis)
