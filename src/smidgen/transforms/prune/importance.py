"""What a channel is worth: scores from weights alone, or from weights and activations.

A score is a number for each channel of `Channels`, larger for what should stay. Scores of one
kind are comparable within a group; `normalized` makes them comparable between groups. What takes
gradients is in `smidgen.training.importance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.transforms.prune.groups import Group
from smidgen.transforms.shrink import Channels, Site

if TYPE_CHECKING:
    from smidgen.ops import AxisRef, Op

Array = np.ndarray[Any, Any]


def l1(channels: Channels) -> Array:
    """Sum of magnitudes of the filters that make each channel (Li et al., 2016)."""
    return _of_filters(channels, lambda w, rest: np.abs(w).sum(rest))


def l2(channels: Channels) -> Array:
    """Root of the sum of squares of the filters that make each channel."""
    return np.sqrt(_of_filters(channels, lambda w, rest: np.square(w).sum(rest)))


def batch_norm_scale(channels: Channels) -> Array:
    """Magnitude of the scale that a batch normalization gives each channel (Liu et al., 2017).

    Raises:
        RecipeError: if the graph has no batch normalizations, or has folded them.
    """
    scores = _empty(channels)
    found = False
    for site in channels.sites:
        operand = _op(site).scale_operand
        if operand is None:
            continue
        for member in site.coupling.members:
            if member.operand == operand:
                found = True
                data = _data(channels.graph, site, member)
                if data is not None:
                    _add(scores, site, member, np.abs(data))
    if not found:
        raise RecipeError(
            "there is no batch normalization to read importances from",
            hint="use l2, activation or taylor, or prune before folding",
        )
    return scores


def activation(channels: Channels, rms: dict[str, Array]) -> Array:
    """Size of what each channel adds to the sums that read it: activation times weights.

    Args:
        channels: of the graph.
        rms: root mean square of every channel of every activation, see `channel_rms`.

    Source: Sun et al., "A simple and effective pruning approach" (Wanda, 2023), for channels.
    """
    scores = _empty(channels)
    for site, member, weights in absorbed(channels):
        name = site.node.inputs[0]
        read = next((m for m in site.coupling.members if m.operand == 0), None)
        if read is None or name is None or name not in rms:
            continue
        rest = tuple(a for a in range(weights.ndim) if a != member.axis)
        norms = np.sqrt(np.square(weights.astype(np.float64)).sum(rest))
        weight = per_channel(site, member, np.square(norms))
        size = per_channel(site, read, np.square(rms[name])) / (read.repeat * read.tiles)
        np.add.at(scores, site.channels, np.sqrt(weight * size))
    return scores


def channel_rms(graph: Graph, inputs: list[Array]) -> dict[str, Array]:
    """Root mean square over samples and positions of each channel (last axis) of activations."""
    return {name: np.sqrt(mean) for name, mean in channel_means(graph, inputs, np.square).items()}


def channel_means(
    graph: Graph, inputs: list[Array], of: Callable[[Array], Array] = np.asarray
) -> dict[str, Array]:
    """Mean over samples and positions of each channel (last axis) of activations, or a function."""
    from smidgen.interpreter import batches, interpret

    sums: dict[str, Array] = {}
    counts: dict[str, int] = {}

    def observe(name: str, array: Array) -> None:
        flat = of(array.reshape(-1, array.shape[-1]).astype(np.float64))
        sums[name] = sums.get(name, 0) + flat.sum(0)
        counts[name] = counts.get(name, 0) + len(flat)

    for rows in batches(graph, len(inputs[0])):
        interpret(graph, [a[rows] for a in inputs], observe=observe)
    return {name: sums[name] / counts[name] for name in sums}


def normalized(scores: Array, groups: list[Group]) -> Array:
    """Scores divided by the mean of their group, so that groups of any scale compare."""
    result = scores.astype(np.float64).copy()
    for group in groups:
        mean = result[group.channels].mean()
        if mean > 0:
            result[group.channels] /= mean
    return result


def absorbed(channels: Channels) -> Iterator[tuple[Site, AxisRef, Array]]:
    """Where channels end: the site, the place in its weights, and the weights."""
    for site in channels.sites:
        for member in site.coupling.members:
            if not site.absorbs and not _again(site, member):
                continue
            data = _data(channels.graph, site, member)
            if data is not None and data.ndim > 1:
                yield site, member, data


def _of_filters(channels: Channels, measure: Callable[[Array, tuple[int, ...]], Array]) -> Array:
    scores = _empty(channels)
    for site in channels.sites:
        for member in site.coupling.members:
            if member.operand <= 0 or site.absorbs or _again(site, member):
                continue
            data = _data(channels.graph, site, member)
            if data is None or data.ndim < 2:
                continue
            rest = tuple(a for a in range(data.ndim) if a != member.axis)
            _add(scores, site, member, measure(data.astype(np.float64), rest))
    return scores


def _again(site: Site, member: AxisRef) -> bool:
    """Whether weights that make channels are named again, as the reader of the same channels."""
    return (
        member.operand >= 0
        and next(m for m in site.coupling.members if m.operand == member.operand) != member
    )


def _data(graph: Graph, site: Site, member: AxisRef) -> Array | None:
    if member.operand < 0:
        return None
    name = site.node.inputs[member.operand]
    data = graph.data(name)
    return data if data is not None and data.dtype.kind == "f" else None


def _add(scores: Array, site: Site, member: AxisRef, along: Array) -> None:
    """Add values (axis size,) to the channels at whose positions they lie."""
    np.add.at(scores, site.channels, per_channel(site, member, along))


def per_channel(site: Site, member: AxisRef, along: Array) -> Array:
    """Sum of the values at each channel's positions (channels of the site,)."""
    size = site.coupling.size
    tile = np.arange(member.tiles)[:, None] * member.period + np.arange(member.repeat)
    at = member.offset + np.arange(size)[:, None] * member.repeat + tile.reshape(1, -1)
    return np.asarray(along[at].sum(1))


def _empty(channels: Channels) -> Array:
    return np.zeros(channels.count, np.float64)


def _op(site: Site) -> Op:
    return site.node.op  # type: ignore[return-value]
