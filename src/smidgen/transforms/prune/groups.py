"""Coupling groups: channels that can only go together in the same places, and what they cost.

The operators say which axes shrink together and `Channels` joins that over the graph. A group is
all channels that live in the same places: the filters of one convolution, say, with the additions,
depthwise layers and weights they are tied to. Any channel of a group can go without the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, Node
from smidgen.transforms.shrink import Channels

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that live in the same places.

    Args:
        name: of the first node that makes them.
        channels: their labels in `Channels`, int64 (size,).
        nodes: labels of all nodes that have a place for them, in execution order.
        pinned: why they must stay, or None.
    """

    name: str
    channels: Array
    nodes: tuple[str, ...]
    pinned: str | None = None

    @property
    def size(self) -> int:
        """How many channels there are."""
        return len(self.channels)


def find_groups(channels: Channels) -> list[Group]:
    """All groups of a graph, those that must stay included, in execution order.

    Example:
        >>> from smidgen.transforms.shrink import Channels
        >>> [g.size for g in find_groups(Channels(model)) if g.pinned is None]
        [16, 32]
    """
    places: dict[int, list[int]] = {}
    for i, site in enumerate(channels.sites):
        for label in dict.fromkeys(site.channels.tolist()):
            places.setdefault(label, []).append(i)
    alike: dict[tuple[tuple[int, ...], str | None], list[int]] = {}
    for label, sites in places.items():
        alike.setdefault((tuple(sites), channels.pinned.get(label)), []).append(label)
    groups = []
    for (where, pinned), labels in alike.items():
        nodes = tuple(dict.fromkeys(channels.sites[i].node.label for i in where))
        groups.append(Group(nodes[0], np.array(sorted(labels)), nodes, pinned))
    return groups


class Costs:
    """What a graph costs when each coupling has lost some of its channels, without removing them.

    An operator's work and the size of its tensors are proportional to each coupling it takes part
    in, so that they follow from what is left of each.

    Args:
        channels: of the graph.
    """

    def __init__(self, channels: Channels) -> None:
        self.graph: Graph = channels.graph
        self.sites = channels.sites
        self._sites_of: dict[str, list[int]] = {}
        for i, site in enumerate(self.sites):
            self._sites_of.setdefault(site.node.outputs[0], []).append(i)
        self._macs = {n.outputs[0]: _op(n).macs(*self.graph.types(n.inputs)) for n in self.nodes}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The graph's nodes."""
        return self.graph.nodes

    def left(self, gone: Array) -> Array:
        """Part of each site's channels that stays; `gone` is a mask over labels."""
        return np.array([1 - np.mean(gone[s.channels]) for s in self.sites])

    def macs(self, gone: Array) -> float:
        """Multiply-accumulates of one inference."""
        left = self.left(gone)
        return float(
            sum(
                self._macs[n.outputs[0]]
                * np.prod([left[i] for i in self._sites_of.get(n.outputs[0], ())])
                for n in self.nodes
            )
        )

    def parameters(self, gone: Array) -> float:
        """Elements of all constants that nodes read."""
        return float(sum(size for _, size in self._tensors(gone, constants=True)))

    def flash(self, gone: Array) -> float:
        """Bytes of the constants in int8, about: one for a weight, four where there are vectors.

        Biases are int32. The vectors of a batch normalization stand for what folding it leaves:
        a bias, a multiplier and a shift of each channel. Code is not counted.
        """
        return float(
            sum(
                size * (4 if self.graph.type(name).rank <= 1 else 1)
                for name, size in self._tensors(gone, constants=True)
            )
        )

    def peak(self, gone: Array) -> float:
        """The most elements of activations that are alive at once, without overlaps."""
        return float(self.alive(gone).max())

    def alive(self, gone: Array) -> Array:
        """Elements of the activations that are alive at each step, the inputs' first."""
        sizes = dict(self._tensors(gone, constants=False))
        for name in self.graph.sources:
            sizes.setdefault(name, float(self.graph.type(name).size))
        last = {n: i for i, node in enumerate(self.nodes) for n in node.inputs if n is not None}
        last |= dict.fromkeys(self.graph.results, len(self.nodes))
        alive = {n: sizes[n] for n in self.graph.sources}
        totals = [sum(alive.values())]
        for step, node in enumerate(self.nodes):
            alive |= {n: sizes[n] for n in node.outputs}
            totals.append(sum(alive.values()))
            alive = {n: s for n, s in alive.items() if last.get(n, -1) > step}
        return np.array(totals)

    def _tensors(self, gone: Array, *, constants: bool) -> Iterator[tuple[str, float]]:
        left = self.left(gone)
        for node in self.nodes:
            sites = self._sites_of.get(node.outputs[0], ())
            if constants:
                operands = [
                    (k, n) for k, n in enumerate(node.inputs)
                    if n is not None and self.graph.values[n].is_constant
                ]  # fmt: skip
            else:
                operands = [(~k, n) for k, n in enumerate(node.outputs)]
            for operand, name in operands:
                part = 1.0
                for i in sites:
                    if any(m.operand == operand for m in self.sites[i].coupling.members):
                        part *= left[i]
                yield name, self.graph.type(name).size * part


@dataclass(frozen=True)
class GroupFacts:
    """What a group is, and what half of it costs.

    Args:
        name: of the first node that makes its channels.
        size: how many channels there are.
        nodes: labels of all nodes that have a place for them.
        pinned: why they must stay, or None.
        macs, parameters, flash, ram: part of the whole that is saved without half of the channels,
            all others staying; None if they must stay. See `smidgen.transforms.prune.channels`.
    """

    name: str
    size: int
    nodes: tuple[str, ...]
    pinned: str | None
    macs: float | None = None
    parameters: float | None = None
    flash: float | None = None
    ram: float | None = None


def survey(channels: Channels) -> list[GroupFacts]:
    """What each group would save, in execution order. Nothing is removed.

    Example:
        >>> from smidgen.transforms.shrink import Channels
        >>> [round(g.macs, 2) for g in survey(Channels(model)) if g.pinned is None]
        [0.5, 0.41]
    """
    costs = Costs(channels)
    measures = (costs.macs, costs.parameters, costs.flash, costs.peak)
    whole = [max(1.0, measure(np.zeros(channels.count, bool))) for measure in measures]
    found = []
    for group in find_groups(channels):
        saved = []
        if group.pinned is None:
            gone = np.zeros(channels.count, bool)
            gone[group.channels[: group.size // 2]] = True
            saved = [1 - m(gone) / all for m, all in zip(measures, whole, strict=True)]
        found.append(GroupFacts(group.name, group.size, group.nodes, group.pinned, *saved))
    return found


def _op(node: Node) -> Op:
    return node.op  # type: ignore[return-value]
