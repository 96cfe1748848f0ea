"""Normalizations."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Array
from smidgen.frontends.torch_export.site import Result, Site, rule

EVAL = "call model.eval() before exporting it"


def _batch_norm(site: Site) -> str:
    x = site.tensor("input")
    mean, variance = site.array("running_mean"), site.array("running_var")
    gamma, beta = site.optional_array("weight"), site.optional_array("bias")
    return lowering.batch_norm(
        site.at, x, gamma, beta, mean, variance, epsilon=site.number("eps", 1e-5)
    )


@rule("batch_norm")
def batch_norm(site: Site) -> Result:
    """By trained statistics only."""
    if site.flag("training") or not site.has("running_mean"):
        raise site.refuse(
            "it normalizes by the statistics of the batch",
            hint=f"{EVAL}; a layer with track_running_stats=False needs a batch: use GroupNorm",
        )
    return _batch_norm(site)


@rule("_native_batch_norm_legit_no_training")
def native_batch_norm(site: Site) -> Result:
    """By trained statistics."""
    return [_batch_norm(site), None, None]


@rule("_native_batch_norm_legit", "_native_batch_norm_legit_functional", "native_batch_norm")
def training_batch_norm(site: Site) -> Result:
    """By the statistics of the batch: training."""
    if not site.flag("training", True) and site.has("running_mean"):
        return [_batch_norm(site), None, None]
    raise site.refuse(
        "it normalizes by the statistics of the batch",
        hint=f"{EVAL}; a layer with track_running_stats=False needs a batch: use GroupNorm",
    )


def _layer_norm(site: Site) -> str:
    return lowering.layer_norm(
        site.at,
        site.tensor("input"),
        site.optional_array("weight"),
        site.optional_array("bias"),
        axes=len(site.integers("normalized_shape")),
        epsilon=site.number("eps", 1e-5),
    )


@rule("layer_norm")
def layer_norm(site: Site) -> Result:
    """Over the last axes."""
    return _layer_norm(site)


@rule("native_layer_norm")
def native_layer_norm(site: Site) -> Result:
    """Over the last axes; the statistics are not kept."""
    return [_layer_norm(site), None, None]


@rule("group_norm", "native_group_norm")
def group_norm(site: Site) -> Result:
    """Over groups of channels."""
    groups = site.integer("num_groups" if site.has("num_groups") else "group")
    weight, bias = site.optional_array("weight"), site.optional_array("bias")
    y = lowering.group_norm(
        site.at, site.tensor("input"), groups, weight, bias, epsilon=site.number("eps", 1e-5)
    )
    return [y, None, None]


@rule("instance_norm")
def instance_norm(site: Site) -> Result:
    """Each channel by its own statistics, or by trained ones."""
    if not site.flag("use_input_stats", True):
        return _batch_norm(site)
    weight, bias = site.optional_array("weight"), site.optional_array("bias")
    return lowering.instance_norm(
        site.at, site.tensor("input"), weight, bias, epsilon=site.number("eps", 1e-5)
    )


@rule("rms_norm")
def rms_norm(site: Site) -> Result:
    """`x` / sqrt(mean(x^2) + eps) over the last axes."""
    at, x = site.at, site.tensor("input")
    axes = range(-len(site.integers("normalized_shape")), 0)
    squares = lowering.reduce(at, "MEAN", lowering.multiply(at, x, x), axes, True)
    epsilon = site.optional_number("eps")
    added = at.scalar(float(np.finfo(np.float32).eps) if epsilon is None else epsilon)
    inverse = lowering.unary(at, "RSQRT", lowering.add(at, squares, added))
    y = lowering.multiply(at, x, inverse)
    weight: Array | None = site.optional_array("weight")
    return y if weight is None else lowering.multiply(at, y, weight)
