"""Which channels of a graph go together, and taking some of them out for good.

The operators say which axes shrink together (`Op.axes`). Here those statements are joined over
the whole graph: two positions that some operator couples belong to one *channel*, from the filter
that makes it, through additions, depthwise convolutions and reshapes, to every weight that reads
it. A channel is removed from all its places at once or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import GraphError
from smidgen.ir import Graph, GraphEditor, Node, QuantParams, State, TensorType, Value

if TYPE_CHECKING:
    from smidgen.ops import AxisRef, Coupling, Op

Array = np.ndarray[Any, Any]

# An activation is known by its name. A constant is known by the operand that reads it, so that
# layers that share one (a bias of zeros, say) are not tied to each other.
Place = str | tuple[int, int]


@dataclass(frozen=True, eq=False)
class Site:
    """One coupling of one node.

    Args:
        node: the node.
        coupling: what its operator said.
        channels: the graph's channel of each of the coupling's channels, int64 (size,).
    """

    node: Node
    coupling: Coupling
    channels: Array

    @property
    def absorbs(self) -> bool:
        """Whether the channels end here: the node reads them, and its outputs stay as they are."""
        return all(member.operand >= 0 for member in self.coupling.members)


class Channels:
    """The channels of a graph, numbered.

    Attributes:
        sites: every coupling of every node.
        pinned: channels that must stay, with the reason.
        count: of labels: channels are numbered below it.

    Example:
        >>> channels = Channels(model)
        >>> first, *others = channels.of("re_lu", 3)  # axis 3: the channels
        >>> channels.remove([first]).type("re_lu").shape
        (1, 8, 8, 15)
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sites: list[Site] = []
        self.pinned: dict[int, str] = {}
        self._axes: dict[tuple[Place, int], Array] = {}
        couplings = [(i, c) for i, node in enumerate(graph.nodes) for c in self._couplings(node)]
        self._number(couplings)
        self._pin(couplings)

    def _couplings(self, node: Node) -> tuple[Coupling, ...]:
        """The node's couplings, without the operands that were left out."""
        op: Op = node.op  # type: ignore[assignment]
        found = []
        for coupling in op.axes(*self.graph.types(node.inputs)):
            members = tuple(m for m in coupling.members if _operand(node, m.operand) is not None)
            # Anything unusual, such as a bias of rank 4, counts as not coupled, and so is pinned.
            if members and all(self._fits(node, coupling.size, m) for m in members):
                found.append(replace(coupling, members=members))
        return tuple(found)

    def _fits(self, node: Node, size: int, ref: AxisRef) -> bool:
        name = _operand(node, ref.operand)
        assert name is not None
        shape = self.graph.type(name).shape
        return ref.axis < len(shape) and size * ref.repeat * ref.tiles <= shape[ref.axis]

    def place(self, index: int, operand: int) -> Place:
        """Where input `operand` or output `~operand` of a node lies; it must not be left out."""
        name = _operand(self.graph.nodes[index], operand)
        assert name is not None
        return (index, operand) if self.graph.values[name].is_constant else name

    def _number(self, couplings: list[tuple[int, Coupling]]) -> None:
        """Number all positions, then give coupled ones the same number."""
        count = 0
        for i, coupling in couplings:
            for m in coupling.members:
                key = (self.place(i, m.operand), m.axis)
                if key not in self._axes:
                    name = _operand(self.graph.nodes[i], m.operand)
                    assert name is not None
                    size = self.graph.type(name).shape[m.axis]
                    self._axes[key] = np.arange(count, count + size)
                    count += size
        edges = []
        for i, coupling in couplings:
            where = [self._positions(i, coupling.size, m) for m in coupling.members]
            first = where[0][:, :1]
            edges += [np.stack(np.broadcast_arrays(first, w)).reshape(2, -1) for w in where]
        for before, after in self._remembered():
            if before is not None and after is not None:
                edges.append(np.stack([before, after]))
        self.count = count
        label = np.arange(count)
        if edges:
            a, b = np.concatenate(edges, axis=1)
            while (label[a] != label[b]).any():  # the smallest number spreads over its channel
                least = np.minimum(label[a], label[b])
                np.minimum.at(label, a, least)
                np.minimum.at(label, b, least)
                label = label[label]
        for i, coupling in couplings:
            first = self._positions(i, coupling.size, coupling.members[0])[:, 0]
            self.sites.append(Site(self.graph.nodes[i], coupling, label[first]))
        self._axes = {key: label[numbers] for key, numbers in self._axes.items()}

    def _remembered(self) -> Iterator[tuple[Array | None, Array | None]]:
        """What lies on each axis of each state before and after a step; None where nobody knows."""
        for state in self.graph.states:
            for axis in range(self.graph.type(state.input).rank):
                yield self._axes.get((state.input, axis)), self._axes.get((state.output, axis))

    def _positions(self, index: int, size: int, ref: AxisRef) -> Array:
        """The numbers (size, repeat * tiles) that each channel of a coupling has at `ref`."""
        numbers = self._axes[self.place(index, ref.operand), ref.axis]
        return numbers[_positions(ref, size)]

    def _pin(self, couplings: list[tuple[int, Coupling]]) -> None:
        """Pin what some node uses without saying that it may shrink, and inputs and outputs."""
        covered: dict[tuple[int, int, int], Array] = {}
        for i, coupling in couplings:
            for m in coupling.members:
                size = len(self._axes[self.place(i, m.operand), m.axis])
                seen = covered.setdefault((i, m.operand, m.axis), np.zeros(size, bool))
                seen[_positions(m, coupling.size)] = True
        known: dict[Place, list[int]] = {}
        for place, axis in self._axes:
            known.setdefault(place, []).append(axis)
        for i, node in enumerate(self.graph.nodes):
            for operand in (*range(len(node.inputs)), *range(-1, -1 - len(node.outputs), -1)):
                if _operand(node, operand) is None:
                    continue
                place = self.place(i, operand)
                for axis in known.get(place, ()):
                    labels = self._axes[place, axis]
                    rest = ~covered.get((i, operand, axis), np.zeros(len(labels), bool))
                    self._pin_all(labels[rest], f"{node.label} cannot do without it")
        ends = [(name, "input") for name in self.graph.inputs]
        ends += [(name, "output") for name in self.graph.outputs]
        ends += [(n, "state") for s in self.graph.states if s.shared for n in (s.input, s.output)]
        for name, what in ends:
            for axis in known.get(name, ()):
                self._pin_all(self._axes[name, axis], f"it is part of the model's {what} {name!r}")
        for before, after in self._remembered():
            for one, other in ((before, after), (after, before)):
                if one is not None and other is None:
                    self._pin_all(one, "it is part of a state")

    def _pin_all(self, channels: Array, why: str) -> None:
        for channel in channels.tolist():
            self.pinned.setdefault(channel, why)

    def of(self, value: str, axis: int) -> Array | None:
        """The channel of each position on an axis of an activation; None if nothing couples it."""
        return self._axes.get((value, axis % self.graph.type(value).rank))

    def emptied(self, channels: Iterable[int]) -> list[Array]:
        """Axes of which too little would be left without these channels: the channels on each.

        One position must be left. An axis with a scale for each position must keep two if it has
        them: runtimes may work out a lone multiplier in another precision.
        """
        gone = self._mask(channels)
        found = []
        for (place, axis), labels in self._axes.items():
            quant = None if isinstance(place, str) else self._constant(place).type.quant
            least = min(len(labels), 2 if quant is not None and quant.axis == axis else 1)
            goes = gone[labels]
            if len(labels) - np.count_nonzero(goes) < least:
                found.append(labels[goes])
        return found

    def kept(self, value: str, axis: int, channels: Iterable[int]) -> Array:
        """Positions on an axis of an activation that stay when these channels go."""
        labels = self.of(value, axis)
        if labels is None:
            return np.arange(self.graph.type(value).shape[axis])
        return np.flatnonzero(~self._mask(channels)[labels])

    def remove(self, channels: Iterable[int]) -> Graph:
        """The graph without these channels: smaller tensors, the same nodes and names.

        What the channels contributed is lost, unless it is made up for elsewhere. A constant that
        several operands read is split if they lose different channels.

        Raises:
            GraphError: if a channel is pinned, or too little would be left of an axis.
        """
        gone = self._mask(channels)
        for channel, why in self.pinned.items():
            if gone[channel]:
                raise GraphError(f"channel {channel} cannot be removed: {why}")
        if self.emptied(channels):
            raise GraphError("some tensor would be left with too few channels")
        edit = GraphEditor(self.graph)
        for value in self.graph.values.values():
            if not value.is_constant:
                edit.set_type(value.name, _take(value.type, self._cuts(value, value.name, gone)))
        readers = Counter(name for node in self.graph.nodes for name in node.inputs)
        copies: dict[tuple[str, str], str] = {}
        for i, node in enumerate(self.graph.nodes):
            inputs = list(node.inputs)
            for k, name in enumerate(node.inputs):
                if name is None or not self.graph.values[name].is_constant:
                    continue
                value = self.graph.values[name]
                cuts = self._cuts(value, (i, k), gone)
                key = (name, repr([(axis, stay.tolist()) for axis, stay in cuts.items()]))
                if cuts and readers[name] == 1:
                    edit.values[name] = _cut(value, cuts)  # keeps its name
                elif cuts:
                    if key not in copies:
                        copies[key] = edit.fresh(name)
                        edit.values[copies[key]] = replace(_cut(value, cuts), name=copies[key])
                    inputs[k] = copies[key]
            op: Op = node.op  # type: ignore[assignment]
            types = tuple(None if n is None else edit.values[n].type for n in inputs)
            outputs = tuple(edit.values[n].type for n in node.outputs)
            edit.update(node, op=op.refit(types, outputs), inputs=tuple(inputs))
        edit.states = [self._cut_state(state, gone) for state in edit.states]
        return edit.finish()

    def _cut_state(self, state: State, gone: Array) -> State:
        initial = state.initial
        for axis, stay in self._cuts(self.graph.values[state.input], state.input, gone).items():
            initial = np.take(initial, stay, axis)
        return replace(state, initial=initial)

    def parts(self, gone: Array) -> dict[Place, float]:
        """Part of the elements in each place that stays; `gone` is a mask over labels."""
        found: dict[Place, float] = {}
        for (place, _), labels in self._axes.items():
            found[place] = found.get(place, 1.0) * float(1 - np.mean(gone[labels]))
        return found

    def _mask(self, channels: Iterable[int]) -> Array:
        mask = np.zeros(self.count, bool)
        mask[list(channels)] = True
        return mask

    def _constant(self, place: tuple[int, int]) -> Value:
        name = _operand(self.graph.nodes[place[0]], place[1])
        assert name is not None
        return self.graph.values[name]

    def _cuts(self, value: Value, place: Place, gone: Array) -> dict[int, Array]:
        """For each axis that loses something, the positions that stay."""
        cuts = {}
        for axis in range(value.type.rank):
            labels = self._axes.get((place, axis))
            if labels is not None and gone[labels].any():
                cuts[axis] = np.flatnonzero(~gone[labels])
        return cuts


def remove_channels(graph: Graph, channels: Mapping[str, Iterable[int]], axis: int = -1) -> Graph:
    """Remove channels from activations, and with them all that they are coupled to.

    Args:
        graph: any graph.
        channels: positions on `axis` to remove, by the name of an activation.
        axis: the axis they are counted on.

    Returns:
        The smaller graph. What the removed channels contributed is lost.

    Raises:
        GraphError: if a channel cannot be removed, saying why.

    Example:
        >>> smaller = remove_channels(model, {"re_lu": [0, 3]})
        >>> smaller.type("re_lu").shape, smaller.type("conv2d/kernel").shape
        ((1, 8, 8, 14), (14, 3, 3, 1))
    """
    found = Channels(graph)
    gone: set[int] = set()
    for name, positions in channels.items():
        labels = found.of(name, axis)
        if labels is None:
            raise GraphError(f"no operator lets axis {axis} shrink", where=name)
        gone.update(labels[list(positions)].tolist())
    return found.remove(gone)


def _operand(node: Node, operand: int) -> str | None:
    """The name of input `operand` or of output `~operand`; None if it was left out."""
    if operand < 0:
        return node.outputs[~operand]
    return node.inputs[operand] if operand < len(node.inputs) else None


def _positions(ref: AxisRef, size: int) -> Array:
    """`ref.positions` of each of the first `size` channels, (size, repeat * tiles)."""
    tile = np.arange(ref.tiles)[:, None] * ref.period + np.arange(ref.repeat)
    return ref.offset + np.arange(size)[:, None] * ref.repeat + tile.reshape(1, -1)


def _cut(value: Value, cuts: Mapping[int, Array]) -> Value:
    """A constant with only the given positions of some axes."""
    data = value.data
    assert data is not None
    for axis, stay in cuts.items():
        data = np.take(data, stay, axis)
    return replace(value, type=_take(value.type, cuts), data=data)


def _take(type: TensorType, cuts: Mapping[int, Array]) -> TensorType:
    """The type with only the given positions of some axes."""
    shape = tuple(len(cuts[a]) if a in cuts else size for a, size in enumerate(type.shape))
    quant = type.quant
    if quant is not None and quant.axis is not None and quant.axis in cuts:
        stay = cuts[quant.axis]
        quant = QuantParams(
            tuple(quant.scales[i] for i in stay),
            tuple(quant.zero_points[i] for i in stay),
            quant.axis,
        )
    return TensorType(shape, type.dtype, quant)
