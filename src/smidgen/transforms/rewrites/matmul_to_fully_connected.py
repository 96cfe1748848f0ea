"""A BATCH_MATMUL by a constant is FULLY_CONNECTED: it has weights, which can be quantized as such.

Floats only, because the integer operators round differently; transposes of the operands are taken
in on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import get_op
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite
from smidgen.transforms.rewrites.transposed_matmul import take_in


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Simplify the first product that can be."""
    for node in graph.nodes:
        if node.op.name == "BATCH_MATMUL":
            patch = take_in(graph, node) or _as_layer(graph, node)
            if patch is not None:
                return patch
    return None


def _as_layer(graph: Graph, node: Node) -> Patch | None:
    x, y = graph.types(node.inputs)
    data = graph.data(node.inputs[1])
    op: Any = node.op
    if x is None or y is None or data is None or graph.data(node.inputs[0]) is not None:
        return None
    if op.adj_x or x.rank < y.rank or any(size != 1 for size in y.shape[:-2]):
        return None
    matrix = data.reshape(y.shape[-2:])
    edit = GraphEditor(graph)
    rows = np.ascontiguousarray(matrix if op.adj_y else matrix.T)
    weights = edit.constant(rows, hint=f"{node.inputs[1]}_rows")
    layer: Any = get_op("FULLY_CONNECTED")
    edit.update(node, op=layer(keep_num_dims=True), inputs=(node.inputs[0], weights))
    return Patch(edit.finish(), node.label, "its second matrix is constant: now FULLY_CONNECTED")


RULE = Rewrite("matmul_to_fully_connected", exact=False, requires="float", find=find)
