"""Channels in another order, as far as constants can take it up.

Which positions of which operands a channel occupies is what `Op.axes` says: an operator whose
operands have all their channels in another order gives a result with its channels in that order,
or, where the channels end, the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node, QuantParams, TensorType, Value
from smidgen.ops import AxisRef, Coupling, Op, Unsupported

Array = np.ndarray[Any, Any]


MOVES = {"TRANSPOSE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
"""Operators that move elements, and do nothing else."""


def channel_order(places: Array, shape: tuple[int, ...]) -> Array | None:
    """The order of the last axis of `shape` that a movement of elements is; None if it is none.

    Example:
        >>> channel_order(np.array([1, 0, 3, 2]), (1, 2, 2))
        array([1, 0])
    """
    if not shape or not places.size:
        return None
    size = shape[-1]
    rows = places.reshape(-1, size) - np.arange(0, places.size, size)[:, None]
    order: Array = rows[0]
    in_row = order.min() >= 0 and order.max() < size
    return order if in_row and (rows == order).all() else None


@dataclass(frozen=True)
class Edit:
    """Position i on an axis of a node's constant operand becomes what `order[i]` was."""

    node: Node
    operand: int
    axis: int
    order: Array


def downstream(graph: Graph, name: str, order: Array, *, inexact: bool) -> list[Edit] | None:
    """What has to change for everybody who reads a value with its last axis in another order.

    Args:
        graph: the graph.
        name: the value.
        order: position i of its last axis will hold what position `order[i]` holds.
        inexact: whether float sums may be taken in another order.

    Returns:
        The edits; None if some reader cannot take it.
    """
    held = {name: (graph.type(name).rank - 1, order)}
    kept = {*graph.outputs, *(state.output for state in graph.states)}
    edits: list[Edit] = []
    for node in graph.nodes:
        if not any(operand in held for operand in node.inputs):
            continue
        found = _through(graph, node, held)
        if found is None or (not inexact and _sums_floats(graph, node, found)):
            return None
        for ref, positions in found:
            if ref.operand < 0:
                held[node.outputs[~ref.operand]] = (ref.axis, positions)
            elif node.inputs[ref.operand] not in held:
                edits.append(Edit(node, ref.operand, ref.axis, positions))
    return None if kept & set(held) else edits


def _through(
    graph: Graph, node: Node, held: dict[str, tuple[int, Array]]
) -> list[tuple[AxisRef, Array]] | None:
    """Which axes of a node's operands and results are in which order if some operands are."""
    given = {i: held[name] for i, name in enumerate(node.inputs) if name in held}
    coupling = _coupling(graph, node, {(i, axis) for i, (axis, _) in given.items()})
    if coupling is None:
        return None
    first = next(ref for ref in coupling.members if ref.operand in given)
    channels = _channels(first, given[first.operand][1], coupling.size)
    if channels is None:
        return None
    members = [ref for ref in coupling.members if ref.operand < 0 or _operand(node, ref)]
    found = [(ref, _positions(graph, node, ref, channels)) for ref in members]
    for ref, positions in found:
        name = _operand(node, ref)
        if ref.operand in given:
            if not np.array_equal(positions, given[ref.operand][1]):
                return None
        elif name is not None and not graph.values[name].is_constant:
            return None
    return found


def _operand(node: Node, ref: AxisRef) -> str | None:
    """The operand that a member lies in; None for a result, or an operand that was left out."""
    return node.inputs[ref.operand] if 0 <= ref.operand < len(node.inputs) else None


def upstream(graph: Graph, name: str, order: Array) -> list[Edit] | None:
    """What has to change for a value to be made with its last axis in another order.

    It must have one reader.

    Args:
        graph: the graph.
        name: the value.
        order: position i of its last axis will hold what position `order[i]` holds.

    Returns:
        The edits; None if it cannot be made so.
    """
    edits: list[Edit] = []
    work = [(name, graph.type(name).rank - 1, order)]
    while work:
        value, axis, positions = work.pop()
        node = graph.producers.get(value)
        if node is None or not _read_once(graph, value) or len(node.outputs) > 1:
            return None
        coupling = _coupling(graph, node, {(-1, axis)})
        if coupling is None:
            return None
        made = [ref for ref in coupling.members if ref.operand < 0]
        channels = _channels(made[0], positions, coupling.size)
        if channels is None or len(made) > 1:
            return None
        for ref in coupling.members:
            operand = _operand(node, ref)
            if operand is None:
                continue
            moved = _positions(graph, node, ref, channels)
            if graph.values[operand].is_constant:
                edits.append(Edit(node, ref.operand, ref.axis, moved))
            else:
                work.append((operand, ref.axis, moved))
    return edits


def _read_once(graph: Graph, name: str) -> bool:
    kept = {*graph.outputs, *(state.output for state in graph.states)}
    readers = graph.consumers[name]
    return name not in kept and len(readers) == 1 and readers[0].inputs.count(name) == 1


def _coupling(graph: Graph, node: Node, axes: set[tuple[int, int]]) -> Coupling | None:
    """The one coupling that has all of some (operand, axis) among its members."""
    op: Op = node.op  # type: ignore[assignment]
    if isinstance(op.axes, Unsupported):
        return None
    for coupling in op.axes(*graph.types(node.inputs)):
        members = [(ref.operand, ref.axis) for ref in coupling.members]
        if axes <= set(members) and len(set(members)) == len(members):
            return coupling
    return None


def _channels(ref: AxisRef, order: Array, size: int) -> Array | None:
    """The order of channels that an order of an axis is; None if it takes channels apart."""
    places = np.array([ref.positions(channel) for channel in range(size)], np.int64)
    if places.size != order.size or not size:
        return None  # some of the axis is none of these channels
    owner = np.empty(order.size, np.int64)
    owner[places] = np.arange(size)[:, None]
    channels: Array = owner[order[places[:, 0]]]
    return channels if np.array_equal(order[places], places[channels]) else None


def _positions(graph: Graph, node: Node, ref: AxisRef, channels: Array) -> Array:
    """The order of a member's axis when its channels are in an order."""
    name = node.outputs[~ref.operand] if ref.operand < 0 else node.inputs[ref.operand]
    assert name is not None
    order = np.arange(graph.type(name).shape[ref.axis])
    places = np.array([ref.positions(channel) for channel in range(channels.size)], np.int64)
    order[places] = places[channels]
    return order


def _sums_floats(graph: Graph, node: Node, found: list[tuple[AxisRef, Array]]) -> bool:
    """Whether the channels end in a sum of floats."""
    ends = all(ref.operand >= 0 for ref, _ in found)
    return ends and graph.type(node.outputs[0]).quant is None


def carry_out(edit: GraphEditor, edits: list[Edit]) -> None:
    """Put constants into the order that edits say."""
    for change in edits:
        old = edit.values[change.node.inputs[change.operand] or ""]
        assert old.data is not None
        data = np.ascontiguousarray(old.data.take(change.order, change.axis))
        type = TensorType(old.type.shape, old.type.dtype, _quant(old.type.quant, change))
        new = edit.fresh(f"{old.name}_reordered")
        edit.values[new] = Value(new, type, data)
        current = next(n for n in edit.nodes if n.outputs == change.node.outputs)
        inputs = list(current.inputs)
        inputs[change.operand] = new
        edit.update(current, inputs=tuple(inputs))


def _quant(quant: QuantParams | None, change: Edit) -> QuantParams | None:
    if quant is None or quant.axis != change.axis:
        return quant
    scales, zero_points = (
        tuple(values[i] for i in change.order) for values in (quant.scales, quant.zero_points)
    )
    return QuantParams(scales, zero_points, quant.axis)
