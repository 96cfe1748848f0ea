"""Normalizations."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.operators.reduction import reduced
from smidgen.frontends.onnx.operators.shape import reshaped
from smidgen.frontends.onnx.site import NodeSite, Operand, operator


@operator("BatchNormalization")
def batch_normalization(site: NodeSite) -> list[Operand | None]:
    """By trained statistics; batch statistics, which training computes, are refused."""
    if site.flag("training_mode") or (any(site.outputs[1:]) and site.version >= 14):
        raise site.refuse(
            "it computes statistics of the batch (training mode)",
            hint="export the model for inference: model.eval()",
        )
    gamma, beta, mean, variance = (
        site.floats(i, what) for i, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    if {gamma.shape, beta.shape, mean.shape, variance.shape} != {site.shape(0)[1:2]}:
        raise site.malformed("its statistics are not one for each channel")
    y = lower.batch_norm(
        site.at, site.x, gamma, beta, mean, variance, epsilon=site.real("epsilon", 1e-5)
    )
    return [y, None, None, None, None]


@operator("InstanceNormalization")
def instance_normalization(site: NodeSite) -> Operand:
    """Each channel of each sample by its own statistics."""
    gamma, beta = site.floats(1, "scale"), site.floats(2, "bias")
    return lower.instance_norm(site.at, site.x, gamma, beta, epsilon=site.real("epsilon", 1e-5))


@operator("GroupNormalization")
def group_normalization(site: NodeSite) -> Operand:
    """Each group of channels by its own statistics; scales by group before opset 21."""
    groups, channels = site.integer("num_groups"), site.shape(0)[1]
    gamma, beta = site.floats(1, "scale"), site.floats(2, "bias")
    if groups < 1 or channels % groups:
        raise site.malformed(f"{channels} channels in {groups} groups")
    if site.version < 21:
        gamma, beta = (np.repeat(a, channels // groups) for a in (gamma, beta))
    return lower.group_norm(
        site.at, site.x, groups, gamma, beta, epsilon=site.real("epsilon", 1e-5)
    )


@operator("LayerNormalization")
def layer_normalization(site: NodeSite) -> list[Operand | None]:
    """The last axes by their own statistics, which can be read as well."""
    at, x = site.at, site.x
    rank = len(site.shape(x))
    axes = list(range(site.axis(rank, -1), rank))
    mean = lower.reduce(at, "MEAN", x, axes, keep_dims=True)
    centred = lower.subtract(at, x, mean)
    variance = lower.reduce(at, "MEAN", lower.multiply(at, centred, centred), axes, keep_dims=True)
    shifted = lower.add(at, variance, at.scalar(site.real("epsilon", 1e-5)))
    inverse = lower.unary(at, "RSQRT", shifted)
    y = lower.multiply(at, lower.multiply(at, centred, inverse), site.operand(1))
    if site.has(2):
        y = lower.add(at, y, site.operand(2))
    return [y, mean, inverse]


@operator("RMSNormalization")
def rms_normalization(site: NodeSite) -> Operand:
    """The last axes by their root mean square."""
    at, x = site.at, site.x
    rank = len(site.shape(x))
    axes = list(range(site.axis(rank, -1), rank))
    square = lower.reduce(at, "MEAN", lower.multiply(at, x, x), axes, keep_dims=True)
    shifted = lower.add(at, square, at.scalar(site.real("epsilon", 1e-5)))
    normal = lower.multiply(at, x, lower.unary(at, "RSQRT", shifted))
    return lower.multiply(at, normal, site.operand(1))


@operator("LpNormalization")
def lp_normalization(site: NodeSite) -> Operand:
    """Divided by a norm along an axis."""
    at, x, p = site.at, site.x, site.integer("p", 2)
    axis = site.axis(len(site.shape(x)), -1)
    if p not in (1, 2):
        raise site.malformed(f"its p is {p}")
    terms = lower.multiply(at, x, x) if p == 2 else lower.unary(at, "ABS", x)
    total = reduced(site, "SUM", terms, [axis], True)
    # Where everything is zero, so is the result.
    floor = at.scalar(1e-37)
    total = lower.binary(at, "MAXIMUM", total, floor)
    return lower.binary(at, "DIV", x, lower.unary(at, "SQRT", total) if p == 2 else total)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(site: NodeSite) -> Operand:
    """Zero mean and unit variance over some axes."""
    at, x = site.at, site.x
    rank = len(site.shape(x))
    axes = sorted({site.axis_of(a, rank) for a in site.integers("axes", (0, 2, 3))})
    centred = lower.subtract(at, x, reduced(site, "MEAN", x, axes, True))
    variance = reduced(site, "MEAN", lower.multiply(at, centred, centred), axes, True)
    deviation = lower.add(at, lower.unary(at, "SQRT", variance), at.scalar(1e-9))
    return lower.binary(at, "DIV", reshaped(site, centred, site.shape(x)), deviation)
