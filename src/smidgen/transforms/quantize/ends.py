"""The first and the last layers with weights: the ones that low precision hurts most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smidgen.ir import Graph, Node
from smidgen.ops import Role, Unsupported

if TYPE_CHECKING:
    from smidgen.ops import Op


def first_layers(graph: Graph) -> tuple[Node, ...]:
    """Layers with weights that none with weights comes before, on any path from an input."""
    return _reached(graph.nodes, graph)


def last_layers(graph: Graph) -> tuple[Node, ...]:
    """Layers with weights that none with weights comes after, on any path to an output."""
    return _reached(tuple(reversed(graph.nodes)), graph)


def _reached(order: tuple[Node, ...], graph: Graph) -> tuple[Node, ...]:
    """Layers with weights none of whose neighbours towards the start of `order` has any."""
    behind: set[str] = set()  # values on the far side of a layer with weights
    found = []
    forward = order == graph.nodes
    for node in order:
        operands = {name for name in node.inputs if name is not None}
        before, after = (operands, set(node.outputs)) if forward else (set(node.outputs), operands)
        weighted = has_weights(graph, node)
        if weighted and not before & behind:
            found.append(node)
        if weighted or before & behind:
            behind |= {name for name in after if not graph.values[name].is_constant}
    return tuple(found)


def has_weights(graph: Graph, node: Node) -> bool:
    """Whether one of the node's operands is a constant that its operator calls weights."""
    op: Op = node.op  # type: ignore[assignment]
    if isinstance(op.quant_rule, Unsupported):
        return False
    roles = op.quant_rule(*graph.types(node.inputs)).roles
    pairs = zip(roles, node.inputs, strict=False)
    return any(role is Role.WEIGHT and graph.data(name) is not None for role, name in pairs)
