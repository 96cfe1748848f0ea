"""Fold transposes that only reorder channels into the weights that make or read the channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import get_op
from smidgen.transforms.rewrites._edit import only_reader
from smidgen.transforms.rewrites._reorder_channels import (
    MOVES,
    carry_out,
    channel_order,
    downstream,
    upstream,
)
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

Array = np.ndarray[Any, Any]


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fold the first that leaves every float sum as it is."""
    return fold(graph, inexact=False)


def fold(graph: Graph, *, inexact: bool) -> Patch | None:
    """Fold the first transpose that can be, with the reshapes around it.

    Args:
        graph: any graph.
        inexact: whether float sums may be taken in another order.
    """
    for node in graph.nodes:
        if node.op.name not in MOVES:
            continue
        for chain in _chains(_up(graph, node), end=True):
            patch = _into_readers(graph, chain, inexact)
            if patch is not None:
                return patch
        for chain in _chains(_down(graph, node), end=False):
            patch = _into_makers(graph, chain)
            if patch is not None:
                return patch
    return None


def _up(graph: Graph, node: Node) -> list[Node]:
    """The run of operators that only move elements which ends with a node."""
    run = [node]
    while True:
        maker = graph.producers.get(run[0].inputs[0] or "")
        if maker is None or maker.op.name not in MOVES:
            return run
        run.insert(0, maker)


def _down(graph: Graph, node: Node) -> list[Node]:
    """The run of operators that only move elements which begins with a node, each read by one."""
    run = [node]
    while True:
        reader = only_reader(graph, run[-1].outputs[0])
        if reader is None or reader.op.name not in MOVES:
            return run
        run.append(reader)


def _chains(run: list[Node], *, end: bool) -> list[list[Node]]:
    """Parts of a run with its end, or its beginning, that hold a transpose; the longest first."""
    parts = [run[i:] if end else run[: len(run) - i] for i in range(len(run))]
    return [part for part in parts if any(node.op.name == "TRANSPOSE" for node in part)]


def _moved(graph: Graph, chain: list[Node]) -> Array:
    """For each element of a chain's result, which element of its operand it is."""
    places = np.arange(graph.type(chain[0].inputs[0] or "").size)
    for node in chain:
        places = places.reshape(graph.type(node.inputs[0] or "").shape)
        if node.op.name == "TRANSPOSE":
            places = places.transpose(node.op.perm)  # type: ignore[attr-defined]
    return places.ravel()


def _into_readers(graph: Graph, chain: list[Node], inexact: bool) -> Patch | None:
    out = chain[-1].outputs[0]
    order = channel_order(_moved(graph, chain), graph.type(out).shape)
    if order is None:
        return None
    # Who reads position i will find there what was at the place that came to i.
    edits = downstream(graph, out, np.argsort(order), inexact=inexact)
    if edits is None:
        return None
    edit = GraphEditor(graph)
    _shortcut(edit, graph, chain)
    carry_out(edit, edits)
    readers = ", ".join(dict.fromkeys(e.node.label for e in edits))
    return Patch(edit.finish(), chain[0].label, f"folded into the constants of {readers}")


def _into_makers(graph: Graph, chain: list[Node]) -> Patch | None:
    source = chain[0].inputs[0]
    assert source is not None
    order = channel_order(_moved(graph, chain), graph.type(source).shape)
    edits = None if order is None else upstream(graph, source, order)
    if not edits:
        return None
    edit = GraphEditor(graph)
    _shortcut(edit, graph, chain)
    carry_out(edit, edits)
    makers = ", ".join(dict.fromkeys(e.node.label for e in edits))
    return Patch(edit.finish(), chain[0].label, f"folded into the constants of {makers}")


def _shortcut(edit: GraphEditor, graph: Graph, chain: list[Node]) -> None:
    """A reshape in place of a chain; of its inner operators those stay that others read."""
    first, last = chain[0], chain[-1]
    op = get_op("RESHAPE")(graph.type(last.outputs[0]).shape)  # type: ignore[call-arg]
    edit.replace_node(last, Node(op, first.inputs[:1], last.outputs, last.name))


RULE = Rewrite("fold_permutation", exact=True, requires="any", find=find)
