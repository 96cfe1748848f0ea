"""A BATCH_MATMUL reads an operand whose last two axes were swapped as it was before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Let the first integer product that can do it take in a TRANSPOSE."""
    for node in graph.nodes:
        if node.op.name == "BATCH_MATMUL" and graph.type(node.outputs[0]).dtype != "float32":
            patch = take_in(graph, node)
            if patch is not None:
                return patch
    return None


def take_in(graph: Graph, node: Node) -> Patch | None:
    """Let one BATCH_MATMUL take in the TRANSPOSE of an operand, if that swaps its matrices."""
    for operand, flag in enumerate(("adj_x", "adj_y")):
        name = node.inputs[operand]
        before = None if name is None else graph.producers.get(name)
        if before is None or before.op.name != "TRANSPOSE":
            continue
        transpose: Any = before.op
        rank = len(transpose.perm)
        if tuple(transpose.perm) != (*range(rank - 2), rank - 1, rank - 2):
            continue
        op: Any = node.op
        inputs = list(node.inputs)
        inputs[operand] = before.inputs[0]
        edit = GraphEditor(graph)
        edit.update(node, op=replace(op, **{flag: not getattr(op, flag)}), inputs=tuple(inputs))
        return Patch(edit.finish(), node.label, f"reads {'xy'[operand]} as {before.label} does")
    return None


RULE = Rewrite("transposed_matmul", exact=True, requires="integer", find=find)
