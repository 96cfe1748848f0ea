"""Cross-layer equalization: balance the weight ranges of channels between two layers.

Where a layer's output channel c feeds nothing but the next layer's input channel c, dividing the
first layer's channel by s and multiplying the second's by s changes nothing in float (what lies
between is linear for positive factors), and s = sqrt(r1 / r2) makes both ranges equal.
Source: Nagel et al., "Data-free quantization through weight equalization and bias correction"
(2019), section 4.1. It matters most with per-tensor weights.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, Node, Value
from smidgen.ops import AxisRef, Role
from smidgen.transforms.quantize.plan import rule_of

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

_ROUNDS = 20
_BALANCED = 1e-3  # logarithm of the largest factor of a round after which nothing is to be gained
_LARGEST_FACTOR = 100.0
# Activations with f(s x) = s f(x) for every positive s.
_HOMOGENEOUS = ("NONE", "RELU")


@dataclass(frozen=True)
class _Axis:
    """Where channels lie in a constant: `channel` tells the channel of each position of `axis`."""

    name: str
    axis: int
    channel: Array

    def largest(self, value: Value, channels: int) -> Array:
        """The largest magnitude of each channel."""
        assert value.data is not None
        others = tuple(i for i in range(value.data.ndim) if i != self.axis)
        found = np.zeros(channels)
        np.maximum.at(found, self.channel, np.abs(value.data).max(axis=others))
        return found

    def scaled(self, value: Value, factors: Array) -> Value:
        """The constant with each channel multiplied by its factor."""
        assert value.data is not None
        shape = [-1 if i == self.axis else 1 for i in range(value.data.ndim)]
        data = value.data * factors[self.channel].reshape(shape)
        return dataclasses.replace(value, data=data.astype(np.float32))


@dataclass(frozen=True)
class _Pair:
    """A layer and the only one that reads it, by the channels between them.

    Args:
        channels: how many there are.
        made: the first layer's constants that make them, weights first.
        read: the second layer's weights that read them.
    """

    channels: int
    made: tuple[_Axis, ...]
    read: _Axis

    def factors(self, values: dict[str, Value]) -> Array:
        """What to divide the first layer's channels by, and to multiply the second's by."""
        first = self.made[0].largest(values[self.made[0].name], self.channels)
        second = self.read.largest(values[self.read.name], self.channels)
        usable = (first > 1e-8) & (second > 1e-8)
        ratio = np.where(usable, first, 1.0) / np.where(usable, second, 1.0)
        return np.clip(np.sqrt(ratio), 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)


def equalize(graph: Graph) -> Graph:
    """The same float function with balanced weights.

    Args:
        graph: a float graph, batch norms folded and activations fused.

    Returns:
        The graph with other weights; outputs agree up to float rounding.
    """
    pairs = [pair for node in graph.nodes if (pair := _pair(graph, node)) is not None]
    values = dict(graph.values)
    for _ in range(_ROUNDS):
        largest = 0.0
        for pair in pairs:  # each undoes a little of its neighbours, less each round
            factors = pair.factors(values)
            for axis in pair.made:
                values[axis.name] = axis.scaled(values[axis.name], 1 / factors)
            values[pair.read.name] = pair.read.scaled(values[pair.read.name], factors)
            largest = max(largest, float(np.abs(np.log(factors)).max(initial=0.0)))
        if largest < _BALANCED:
            break
    return dataclasses.replace(graph, values=values)


def _pair(graph: Graph, node: Node) -> _Pair | None:
    """The node and its reader, if one can be scaled against the other."""
    out = node.outputs[0]
    readers = graph.consumers[out]
    if getattr(node.op, "fused_activation_function", None) not in _HOMOGENEOUS:
        return None
    if len(readers) != 1 or readers[0].inputs.count(out) != 1 or out in graph.results:
        return None
    type, reader = graph.type(out), readers[0]
    made = _axes(graph, node, AxisRef(-1, type.rank - 1))
    read = _axes(graph, reader, AxisRef(reader.inputs.index(out), type.rank - 1)).get(Role.WEIGHT)
    present = {role for role, name in _parts(graph, node) if name is not None}
    if read is None or Role.WEIGHT not in made or set(made) != present:
        return None
    ours = (made[Role.WEIGHT], *(axis for role, axis in made.items() if role is Role.BIAS))
    names = [axis.name for axis in (*ours, read)]
    if len(set(names)) < len(names) or any(len(graph.consumers[n]) > 1 for n in names):
        return None
    return _Pair(type.shape[-1], ours, read)


def _parts(graph: Graph, node: Node) -> list[tuple[Role, str | None]]:
    """The weights and biases of a node."""
    pairs = zip(rule_of(graph, node).roles, node.inputs, strict=False)
    return [(role, name) for role, name in pairs if role in (Role.WEIGHT, Role.BIAS)]


def _axes(graph: Graph, node: Node, activation: AxisRef) -> dict[Role, _Axis]:
    """Where the channels of an activation's axis lie in the node's constant weights and bias."""
    op: Op = node.op  # type: ignore[assignment]
    roles = {name: role for role, name in _parts(graph, node) if graph.data(name) is not None}
    found = {}
    for coupling in op.axes(*graph.types(node.inputs)):
        if not any(_same(member, activation) for member in coupling.members):
            continue
        for member in coupling.members:
            name = node.inputs[member.operand] if member.operand < len(node.inputs) else None
            if member.operand < 0 or name is None or name not in roles:
                continue
            channel = np.full(graph.type(name).shape[member.axis], -1)
            for c in range(coupling.size):
                channel[member.positions(c)] = c
            if roles[name] in found:
                return {}  # several weights read the channels, as those of gates do
            if (channel >= 0).all():
                found[roles[name]] = _Axis(name, member.axis, channel)
    return found


def _same(member: AxisRef, activation: AxisRef) -> bool:
    """Whether a member is that axis itself, channel by channel."""
    where = (member.operand, member.axis) == (activation.operand, activation.axis)
    return where and (member.offset, member.repeat, member.tiles) == (0, 1, 1)
