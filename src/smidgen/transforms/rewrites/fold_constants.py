"""Work out now what depends on constants alone."""

from __future__ import annotations

import numpy as np

from smidgen.interpreter import run_node
from smidgen.ir import Graph, GraphEditor, Value
from smidgen.ops._range import ROUNDINGS
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Replace the first node whose operands are all constant by its results."""
    for node in graph.nodes:
        operands = [name for name in node.inputs if name is not None]
        if not operands or not all(graph.values[name].is_constant for name in operands):
            continue
        if any(name in graph.results for name in node.outputs):
            continue  # an output or a new state of the model has to be computed by some node
        results, others = (run_node(graph, node, {}, rounding) for rounding in ROUNDINGS)
        if not all(map(np.array_equal, results, others)):
            refuse(node, "the result depends on how a runtime rounds")
            continue
        edit = GraphEditor(graph)
        edit.remove(node)
        for name, data in zip(node.outputs, results, strict=True):
            edit.values[name] = Value(name, graph.type(name), np.asarray(data, order="C"))
        return Patch(edit.finish(), node.label, "replaced by its result, which is constant")
    return None


RULE = Rewrite("fold_constants", exact=True, requires="any", find=find)
