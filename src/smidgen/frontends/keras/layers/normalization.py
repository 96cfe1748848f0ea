"""Batch normalization, kept as an operator of its own until a rewrite folds it."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.keras.site import Array, LayerSite, layer
from smidgen.frontends.keras.spec import LayerSpec
from smidgen.frontends.lowering import group_norm, layer_norm


def _roles(spec: LayerSpec) -> tuple[str, ...]:
    gamma = () if spec.config.get("scale") is False else ("gamma",)
    beta = () if spec.config.get("center") is False else ("beta",)
    return (*gamma, *beta, "moving_mean", "moving_variance")


@layer("BatchNormalization", roles=_roles)
def batch_normalization(site: LayerSite) -> str:
    """Gives gamma * (x - mean) / sqrt(variance + epsilon) + beta, on the last axis."""
    value = site.input
    rank, axis = len(site.shape(value)), site.axis(len(site.shape(value)))
    first = axis == 1 and rank > 2
    if first:  # as channels-first models have it
        site.conversion.channels_first = True
        value = site.lowering.channels_last(value)
    elif axis != rank - 1:
        raise site.refuse(
            f"it normalizes axis {site.get('axis')!r}, not the channels",
            hint="use axis=-1, or axis=1 on channels-first data",
        )
    size = (site.shape(value)[-1],)

    def operand(role: str, fill: float) -> str:
        def make() -> Array:
            given = role in site.spec.weights
            return site.weight(role, size) if given else np.full(size, fill, np.float32)

        return site.constant(role, make)

    operands: list[str | None] = [
        value,
        operand("gamma", 1.0),
        operand("beta", 0.0),
        operand("moving_mean", 0.0),
        operand("moving_variance", 1.0),
    ]
    value = site.add("BATCH_NORM", operands, epsilon=site.number("epsilon", 1e-3))
    return site.lowering.channels_first(value) if first else value


def _affine_roles(spec: LayerSpec) -> tuple[str, ...]:
    gamma = () if spec.config.get("scale") is False else ("gamma",)
    return gamma if spec.config.get("center") is False else (*gamma, "beta")


def _affine(site: LayerSite, shape: tuple[int, ...]) -> tuple[Array | None, Array | None]:
    """Gamma and beta, where there are any."""
    found = (
        site.weight(role, shape) if role in site.spec.weights else None
        for role in ("gamma", "beta")
    )
    return next(found), next(found)


@layer("LayerNormalization", roles=_affine_roles)
def layer_normalization(site: LayerSite) -> str:
    """Zero mean and unit variance over the last axes of each sample."""
    shape = site.shape(site.input)
    rank = len(shape)
    given = site.get("axis", -1)
    axes = given if isinstance(given, (list, tuple)) else [given]
    if not all(isinstance(a, int) and -rank <= a < rank for a in axes):
        raise site.malformed(f"its axis is {given!r}")
    axes = sorted(a % rank for a in axes)
    if axes != list(range(rank - len(axes), rank)) or axes[0] == 0:
        raise site.refuse(f"it normalizes axes {given!r}", hint="use the last axes")
    gamma, beta = _affine(site, shape[axes[0] :])
    epsilon = site.number("epsilon", 1e-3)
    return layer_norm(site.lowering, site.input, gamma, beta, axes=len(axes), epsilon=epsilon)


@layer("RMSNormalization", roles=lambda spec: ("scale",))
def rms_normalization(site: LayerSite) -> str:
    """Unit mean square over the last axis, times a scale."""
    shape = site.shape(site.input)
    if site.axis(len(shape)) != len(shape) - 1:
        raise site.refuse(f"it normalizes axis {site.get('axis')!r}", hint="use the last axis")
    at, x = site.lowering, site.input
    squares = at.add("MEAN", [at.add("MUL", [x, x])], axis=(len(shape) - 1,), keep_dims=True)
    epsilon = at.scalar(site.number("epsilon", 1e-6))
    inverse = at.add("RSQRT", [at.add("ADD", [squares, epsilon])])
    return at.add("MUL", [at.add("MUL", [x, inverse]), site.weight("scale", shape[-1:])])


@layer("GroupNormalization", roles=_affine_roles)
def group_normalization(site: LayerSite) -> str:
    """Zero mean and unit variance of each group of channels of each sample."""
    shape = site.shape(site.input)
    groups = site.get("groups", 32)
    if site.axis(len(shape)) != len(shape) - 1:
        raise site.refuse(f"it normalizes axis {site.get('axis')!r}", hint="use the last axis")
    if groups == -1:
        groups = shape[-1]
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise site.malformed(f"its groups are {groups!r}")
    gamma, beta = _affine(site, shape[-1:])
    epsilon, at = site.number("epsilon", 1e-3), site.lowering
    first = at.channels_first(site.input)
    y = group_norm(at, first, groups, gamma, beta, epsilon=epsilon)
    site.conversion.channels_first = True
    return at.channels_last(y)


@layer("UnitNormalization")
def unit_normalization(site: LayerSite) -> str:
    """Each vector on the axis divided by its length."""
    rank = len(site.shape(site.input))
    at, x = site.lowering, site.input
    axis = site.axis(rank)
    squares = at.add("SUM", [at.add("MUL", [x, x])], axis=(axis,), keep_dims=True)
    length = at.add("RSQRT", [at.add("MAXIMUM", [squares, at.scalar(1e-12)])])
    return at.add("MUL", [x, length])
