"""Normalizations: by trained statistics, or by those of the sample itself."""

from __future__ import annotations

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.site import Array, Lowering, Operand


def batch_norm(
    at: Lowering,
    x: Operand,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
) -> str:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta for each channel.

    Args:
        at: where.
        x: (n, c, ...).
        gamma, beta, mean, variance: (c,); gamma and beta may be left out.
        epsilon: added to the variance.
    """
    gamma = np.ones_like(mean) if gamma is None else gamma
    beta = np.zeros_like(mean) if beta is None else beta
    last = at.channels_last(x)
    y = at.add("BATCH_NORM", [last, gamma, beta, mean, variance], epsilon=epsilon)
    return at.channels_first(y)


def _standardize(at: Lowering, x: str, axes: tuple[int, ...], epsilon: float) -> str:
    """Zero mean and unit variance over some axes."""
    mean = at.add("MEAN", [x], axis=axes, keep_dims=True)
    centred = at.add("SUB", [x, mean])
    squares = at.add("MUL", [centred, centred])
    variance = at.add("MEAN", [squares], axis=axes, keep_dims=True)
    inverse = at.add("RSQRT", [at.add("ADD", [variance, at.scalar(epsilon)])])
    return at.add("MUL", [centred, inverse])


def _scale(at: Lowering, x: str, weight: Array | None, bias: Array | None) -> str:
    if weight is not None:
        x = at.add("MUL", [x, weight])
    return x if bias is None else at.add("ADD", [x, bias])


def layer_norm(
    at: Lowering,
    x: Operand,
    weight: Array | None,
    bias: Array | None,
    *,
    axes: int = 1,
    epsilon: float,
) -> str:
    """Each sample normalized over its last axes.

    Args:
        at: where.
        x: (..., d1, ..., dk).
        weight, bias: (d1, ..., dk) or none.
        axes: their number, k.
        epsilon: added to the variance.
    """
    rank = at.rank(x)
    y = _standardize(at, at.value(x), tuple(range(rank - axes, rank)), epsilon)
    return _scale(at, y, weight, bias)


def group_norm(
    at: Lowering,
    x: Operand,
    groups: int,
    weight: Array | None,
    bias: Array | None,
    *,
    epsilon: float,
) -> str:
    """Each group of channels of each sample normalized.

    Args:
        at: where.
        x: (n, c, ...).
        groups: number of groups.
        weight, bias: (c,) or none.
        epsilon: added to the variance.
    """
    last = at.channels_last(x)
    shape = at.shape(last)
    n, channels, pixels = shape[0], shape[-1], int(np.prod(shape[1:-1], dtype=object))
    if groups < 1 or channels % groups:
        raise UnsupportedModelError(f"{channels} channels in {groups} groups")
    if groups == channels and len(shape) > 2:
        y = _standardize(at, last, tuple(range(1, len(shape) - 1)), epsilon)
    elif groups == 1:
        y = _standardize(at, last, tuple(range(1, len(shape))), epsilon)
    else:
        grouped = at.add("RESHAPE", [last], new_shape=(n, pixels, groups, channels // groups))
        y = _standardize(at, grouped, (1, 3), epsilon)
        y = at.add("RESHAPE", [y], new_shape=shape)
    return at.channels_first(_scale(at, y, weight, bias))


def instance_norm(
    at: Lowering,
    x: Operand,
    weight: Array | None,
    bias: Array | None,
    *,
    epsilon: float,
) -> str:
    """Each channel of each sample normalized over its pixels; arguments as `group_norm`'s."""
    return group_norm(at, x, at.shape(x)[1], weight, bias, epsilon=epsilon)
