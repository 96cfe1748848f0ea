"""Blocks of a graph: stretches of nodes that a single value leads into, such as residual blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smidgen.ir import Graph, Node


@dataclass(frozen=True)
class Block:
    """Nodes that follow each other, seen as a function.

    Args:
        nodes: in execution order.
        sources: activations that they read and do not make.
        results: activations that they make for others, or for whoever runs the graph.
    """

    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    results: tuple[str, ...]


def blocks(graph: Graph, counts: Callable[[Node], bool]) -> list[Block]:
    """Cut a graph wherever a single value leads on, so that each block has a node that counts.

    What lies side by side, such as the ways around and through a residual block, stays together.
    Nodes after the last one that counts belong to its block.

    Args:
        graph: any graph.
        counts: whether a node is worth a block.

    Returns:
        Blocks in order, each node in one; none if no node counts.

    Example:
        >>> [len(b.nodes) for b in blocks(model, lambda node: len(node.inputs) > 1)]
        [...]
    """
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs if name}
    ends: list[int] = []
    open_values = {name for name in graph.sources if name in last}
    worth = False
    for i, node in enumerate(graph.nodes):
        open_values.update(name for name in node.outputs if name in last)
        open_values = {name for name in open_values if last[name] > i}
        worth = worth or counts(node)
        if worth and len(open_values) == 1:
            ends.append(i + 1)
            worth = False
    if worth or not ends:
        ends.append(len(graph.nodes))
    ends[-1] = len(graph.nodes)
    if not any(counts(node) for node in graph.nodes):
        return []
    return [stretch(graph, a, b) for a, b in zip([0, *ends], ends, strict=False)]


def stretch(graph: Graph, first: int, last: int) -> Block:
    """Nodes `first` to `last - 1` of a graph as a block."""
    nodes, others = graph.nodes[first:last], (*graph.nodes[:first], *graph.nodes[last:])
    made = {name for node in nodes for name in node.outputs}
    reads = dict.fromkeys(n for node in nodes for n in node.inputs if n is not None)
    wanted = {n for node in others for n in node.inputs} | set(graph.results)
    sources = tuple(n for n in reads if n not in made and graph.data(n) is None)
    return Block(nodes, sources, tuple(n for node in nodes for n in node.outputs if n in wanted))
