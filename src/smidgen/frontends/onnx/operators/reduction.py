"""Reductions, positions of extremes, running sums and softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.operators.shape import reshaped
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import Array

REDUCTIONS: dict[str, tuple[str, Callable[..., Array]]] = {
    "ReduceMean": ("MEAN", np.mean),
    "ReduceSum": ("SUM", np.sum),
    "ReduceMax": ("REDUCE_MAX", np.max),
    "ReduceMin": ("REDUCE_MIN", np.min),
    "ReduceProd": ("REDUCE_PROD", np.prod),
}


def reduction_axes(site: NodeSite, rank: int) -> list[int] | None:
    """The axes, counted from 0; None if nothing is reduced at all."""
    axes = site.attributes.get("axes")
    if axes is None and site.has(1):
        axes = site.ints(1, "axes")
    if not axes:
        if axes is not None and site.flag("noop_with_empty_axes"):
            return None
        if axes is None and site.flag("noop_with_empty_axes"):
            return None
        return list(range(rank))
    return sorted({site.axis_of(int(axis), rank) for axis in axes})


def reduced(site: NodeSite, op: str, x: Operand, axes: list[int], keep: bool) -> Operand:
    """A reduction of a value over axes, of which there may be none."""
    if not axes:
        return x
    return lower.reduce(site.at, op, x, axes, keep)


def _reduction(op: str, function: Callable[..., Array]) -> Callable[[NodeSite], Operand]:
    def rule(site: NodeSite) -> Operand:
        x = site.source(0)
        axes = reduction_axes(site, len(site.shape(x)))
        keep = site.flag("keepdims", True)
        if axes is None:
            return x
        if not isinstance(x, str):
            if 0 in x.shape:
                raise site.refuse("it reduces a tensor without elements", hint="leave it out")
            return np.asarray(function(x, axis=tuple(axes), keepdims=keep)).astype(x.dtype)
        return reduced(site, op, x, axes, keep)

    return rule


for _name, (_op, _function) in REDUCTIONS.items():
    operator(_name)(_reduction(_op, _function))


def _of_parts(
    before: Callable[[NodeSite, Operand], Operand] | None,
    after: Callable[[NodeSite, Operand], Operand] | None,
) -> Callable[[NodeSite], Operand]:
    """A sum of something, and something of that sum."""

    def rule(site: NodeSite) -> Operand:
        x = site.x
        axes = reduction_axes(site, len(site.shape(x)))
        if before is not None:
            x = before(site, x)
        if axes is not None:
            x = reduced(site, "SUM", x, axes, site.flag("keepdims", True))
        return x if after is None else after(site, x)

    return rule


def _square(site: NodeSite, x: Operand) -> Operand:
    return lower.multiply(site.at, x, x)


def _abs(site: NodeSite, x: Operand) -> Operand:
    return lower.unary(site.at, "ABS", x)


def _sqrt(site: NodeSite, x: Operand) -> Operand:
    return lower.unary(site.at, "SQRT", x)


def _log(site: NodeSite, x: Operand) -> Operand:
    return lower.unary(site.at, "LOG", x)


operator("ReduceL1")(_of_parts(_abs, None))
operator("ReduceL2")(_of_parts(_square, _sqrt))
operator("ReduceSumSquare")(_of_parts(_square, None))
operator("ReduceLogSum")(_of_parts(None, _log))


@operator("ReduceLogSumExp")
def reduce_log_sum_exp(site: NodeSite) -> Operand:
    """The logarithm of a sum of exponentials; the largest is taken out so that none overflows."""
    at, x = site.at, site.x
    axes = reduction_axes(site, len(site.shape(x)))
    if axes is None:
        return x
    largest = reduced(site, "REDUCE_MAX", x, axes, True)
    powers = lower.unary(at, "EXP", lower.subtract(at, x, largest))
    total = lower.unary(at, "LOG", reduced(site, "SUM", powers, axes, True))
    result: Operand = lower.add(at, total, largest)
    if site.flag("keepdims", True):
        return result
    dims = site.shape(result)
    return reshaped(site, result, tuple(d for i, d in enumerate(dims) if i not in axes))


@operator("ArgMax", "ArgMin")
def arg_extreme(site: NodeSite) -> Operand:
    """The position of the largest or smallest element along an axis, the first of equal ones."""
    x = site.x
    axis = site.axis(len(site.shape(x)), 0)
    op = "ARG_MAX" if site.op_type == "ArgMax" else "ARG_MIN"
    keep = site.flag("keepdims", True)
    if not site.flag("select_last_index"):
        return lower.arg(site.at, op, x, axis, keep)
    size = site.shape(x)[axis]
    backwards = lower.slice_axis(site.at, x, axis, None, None, -1)
    first = lower.arg(site.at, op, backwards, axis, keep)
    return lower.subtract(site.at, np.array([size - 1], np.int32), first)


def _flat_from(site: NodeSite, apply: Callable[[Operand, int], Operand]) -> Operand:
    """Softmax as it is meant: along one axis, or before opset 13 over all axes from it on."""
    x = site.x
    dims = site.shape(x)
    if site.version >= 13:
        return apply(x, site.axis(len(dims), -1))
    axis = site.axis(len(dims), 1) if dims else 0
    before, after = dims[:axis], dims[axis:]
    if len(after) == 1:
        return apply(x, len(dims) - 1)
    flat = reshaped(site, x, (*before, int(np.prod(after))))
    return reshaped(site, apply(flat, len(before)), dims)


@operator("Softmax")
def softmax(site: NodeSite) -> Operand:
    """Powers of e, divided by their sum."""
    return _flat_from(site, lambda x, axis: lower.softmax(site.at, x, axis))


@operator("LogSoftmax")
def log_softmax(site: NodeSite) -> Operand:
    """The logarithm of softmax."""
    return _flat_from(site, lambda x, axis: lower.log_softmax(site.at, x, axis))


@operator("Hardmax")
def hardmax(site: NodeSite) -> Operand:
    """One at the first of the largest elements, zero elsewhere."""

    def apply(x: Operand, axis: int) -> Operand:
        at = site.at
        place = lower.arg(at, "ARG_MAX", x, axis, keep_dims=True)
        dims = site.shape(x)
        every = np.arange(dims[axis], dtype=np.int32)
        every = every.reshape([-1 if i == axis else 1 for i in range(len(dims))])
        equal = lower.binary(at, "EQUAL", place, every)
        return at.add("CAST", [equal], dtype="float32")

    return _flat_from(site, apply)


@operator("CumSum")
def cum_sum(site: NodeSite) -> Operand:
    """Running sums along an axis."""
    x = site.source(0)
    rank = len(site.shape(x))
    axis = site.axis_of(int(site.number(1, "axis")), rank)
    exclusive, reverse = site.flag("exclusive"), site.flag("reverse")
    if isinstance(x, str):
        return site.at.add("CUMSUM", [x], axis=axis, exclusive=exclusive, reverse=reverse)
    walked = np.flip(x, axis) if reverse else x
    total = np.cumsum(walked, axis, dtype=x.dtype)
    if exclusive:
        total = total - walked
    return np.flip(total, axis) if reverse else total
