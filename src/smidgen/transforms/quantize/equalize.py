"""Cross-layer equalization: balance the weight ranges of channels between two layers.

For a layer whose output channel c feeds only the next layer's input channel c, dividing the first
layer's channel by s and multiplying the second's by s changes nothing in float (the activation
between is linear for positive factors), and s = sqrt(r1 / r2) makes both ranges equal.
Source: Nagel et al., "Data-free quantization through weight equalization and bias correction"
(2019), section 4.1. It matters most with per-tensor weights.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, Node, Value
from smidgen.ops import AxisRef, Role

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

_ROUNDS = 20
_HOMOGENEOUS = ("NONE", "RELU")


def equalize(graph: Graph) -> Graph:
    """The same float function with balanced weights.

    Args:
        graph: a float graph, batch norms folded and activations fused.

    Returns:
        The graph with other weights; outputs agree up to float rounding.
    """
    pairs = [p for node in graph.nodes for p in _pairs(graph, node)]
    values = dict(graph.values)
    for _ in range(_ROUNDS if pairs else 0):
        largest = 0.0
        for first, second in pairs:
            factors = _factors(values, first, second)
            _scale(values, first, 1 / factors)
            _scale(values, second[:1], factors)
            largest = max(largest, float(np.abs(np.log(factors)).max(initial=0.0)))
        if largest < 1e-3:
            break
    return dataclasses.replace(graph, values=values)


Axis = tuple[str, int]  # a constant and its channel axis


def _pairs(graph: Graph, node: Node) -> list[tuple[list[Axis], list[Axis]]]:
    """(weights and bias of the node, weights of the only reader), by the shared channel axis."""
    if getattr(node.op, "fused_activation_function", None) not in _HOMOGENEOUS:
        return []
    out = node.outputs[0]
    readers = graph.consumers[out]
    if len(node.outputs) != 1 or len(readers) != 1 or out in graph.outputs:
        return []
    reader = readers[0]
    if reader.inputs.count(out) != 1:
        return []
    channel = graph.type(out).rank - 1
    made = _members(graph, node, -1, channel, (Role.WEIGHT, Role.BIAS))
    read = _members(graph, reader, reader.inputs.index(out), channel, (Role.WEIGHT,))
    if not made or not read or made[0][0] == read[0][0]:
        return []
    own = [n for n, _ in (*made, *read)]
    if any(len(graph.consumers[n]) != 1 for n in own):
        return []
    return [(made, read)]


def _members(
    graph: Graph, node: Node, operand: int, axis: int, roles: tuple[Role, ...]
) -> list[Axis]:
    """The node's constants whose channels are coupled one to one with that operand's axis."""
    op: Op = node.op  # type: ignore[assignment]
    types = graph.types(node.inputs)
    rule = op.quant_rule(*types)
    for coupling in op.axes(*types):
        if AxisRef(operand, axis) not in coupling.members:
            continue
        found = []
        for member in coupling.members:
            if member.operand < 0 or rule.roles[member.operand] not in roles:
                continue
            name = node.inputs[member.operand] if member.operand < len(node.inputs) else None
            if name is None:
                continue
            if graph.data(name) is None or member != AxisRef(member.operand, member.axis):
                return []
            found.append((name, member.axis))
        return sorted(found, key=lambda a: -graph.type(a[0]).rank)  # weights before bias
    return []


def _range(value: Value, axis: int) -> Array:
    assert value.data is not None
    others = tuple(i for i in range(value.data.ndim) if i != axis)
    found: Array = np.abs(value.data).max(axis=others)
    return found


def _factors(values: dict[str, Value], first: list[Axis], second: list[Axis]) -> Array:
    r1, r2 = _range(values[first[0][0]], first[0][1]), _range(values[second[0][0]], second[0][1])
    usable = (r1 > 1e-8) & (r2 > 1e-8)
    safe1, safe2 = np.where(usable, r1, 1.0), np.where(usable, r2, 1.0)
    return np.clip(np.sqrt(safe1 / safe2), 1e-2, 1e2)


def _scale(values: dict[str, Value], members: list[Axis], factors: Array) -> None:
    for name, axis in members:
        value = values[name]
        assert value.data is not None
        shape = [1] * value.data.ndim
        shape[axis] = -1
        data = (value.data * factors.reshape(shape)).astype(np.float32)
        values[name] = dataclasses.replace(value, data=data)
