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
from smidgen.ops import Role
from smidgen.transforms.shrink import Channels, Place

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
    """What a graph costs when some of its channels are gone, without removing them.

    An operator's work is proportional to the size of its weights, or else of its result.

    Args:
        channels: of the graph.
    """

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.graph: Graph = channels.graph
        self._work = [self._work_of(i, node) for i, node in enumerate(self.graph.nodes)]

    def _work_of(self, index: int, node: Node) -> list[tuple[Place, float]]:
        """Places, and the multiply-accumulates that are proportional to the size of each."""
        types = self.graph.types(node.inputs)
        roles = _op(node).quant_rule(*types).roles
        weights = [k for k, role in enumerate(roles[: len(types)]) if role is Role.WEIGHT]
        sizes = {k: type.size for k in weights if (type := types[k]) is not None}
        macs, total = _op(node).macs(*types), sum(sizes.values())
        if not total:
            return [(self.channels.place(index, -1), macs)]
        return [(self.channels.place(index, k), macs * size / total) for k, size in sizes.items()]

    def macs(self, gone: Array) -> float:
        """Multiply-accumulates of one inference; `gone` is a mask over labels."""
        parts = self.channels.parts(gone)
        return sum(macs * parts.get(place, 1.0) for work in self._work for place, macs in work)

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
        sizes, parts = dict(self._tensors(gone, constants=False)), self.channels.parts(gone)
        for name in self.graph.sources:
            sizes.setdefault(name, self.graph.type(name).size * parts.get(name, 1.0))
        nodes = self.graph.nodes
        last = {n: i for i, node in enumerate(nodes) for n in node.inputs if n is not None}
        last |= dict.fromkeys(self.graph.results, len(nodes))
        alive = {n: sizes[n] for n in self.graph.sources}
        totals = [sum(alive.values())]
        for step, node in enumerate(nodes):
            alive |= {n: sizes[n] for n in node.outputs}
            totals.append(sum(alive.values()))
            alive = {n: s for n, s in alive.items() if last.get(n, -1) > step}
        return np.array(totals)

    def _tensors(self, gone: Array, *, constants: bool) -> Iterator[tuple[str, float]]:
        parts = self.channels.parts(gone)
        for index, node in enumerate(self.graph.nodes):
            operands = (
                range(len(node.inputs)) if constants else range(-1, -1 - len(node.outputs), -1)
            )
            for operand in operands:
                name = node.inputs[operand] if constants else node.outputs[~operand]
                if name is None or constants != self.graph.values[name].is_constant:
                    continue
                part = parts.get(self.channels.place(index, operand), 1.0)
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
        [0.46, 0.32]
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
