"""Batch normalization, kept as an operator of its own until a rewrite folds it."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.keras.site import Array, LayerSite, layer
from smidgen.frontends.keras.spec import LayerSpec


def _roles(spec: LayerSpec) -> tuple[str, ...]:
    gamma = () if spec.config.get("scale") is False else ("gamma",)
    beta = () if spec.config.get("center") is False else ("beta",)
    return (*gamma, *beta, "moving_mean", "moving_variance")


@layer("BatchNormalization", roles=_roles)
def batch_normalization(site: LayerSite) -> str:
    """Gives gamma * (x - mean) / sqrt(variance + epsilon) + beta, on the last axis."""
    shape = site.shape(site.input)
    if site.axis(len(shape)) != len(shape) - 1:
        raise site.refuse(
            f"it normalizes axis {site.get('axis')!r}, not the channels",
            hint="use axis=-1 and channels-last data",
        )
    size = (shape[-1],)

    def operand(role: str, fill: float) -> str:
        def make() -> Array:
            given = role in site.spec.weights
            return site.weight(role, size) if given else np.full(size, fill, np.float32)

        return site.constant(role, make)

    operands: list[str | None] = [
        site.input,
        operand("gamma", 1.0),
        operand("beta", 0.0),
        operand("moving_mean", 0.0),
        operand("moving_variance", 1.0),
    ]
    return site.add("BATCH_NORM", operands, epsilon=site.number("epsilon", 1e-3))
