"""A TRANSPOSE that moves nothing but axes of size 1 is a RESHAPE, which costs nothing."""

from __future__ import annotations

from typing import Any

from smidgen.ir import Graph, GraphEditor
from smidgen.ops import get_op
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Replace the first such TRANSPOSE."""
    for node in graph.nodes:
        op: Any = node.op
        if op.name != "TRANSPOSE" or node.inputs[0] is None:
            continue
        shape = graph.type(node.inputs[0]).shape
        moved = [axis for axis in op.perm if shape[axis] != 1]
        if moved == sorted(moved):
            edit = GraphEditor(graph)
            edit.update(node, op=get_op("RESHAPE")(graph.type(node.outputs[0]).shape))  # type: ignore[call-arg]
            return Patch(edit.finish(), node.label, "moves axes of size 1 only: now a RESHAPE")
    return None


RULE = Rewrite("transpose_to_reshape", exact=True, requires="any", find=find)
