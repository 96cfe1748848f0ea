"""Replace a whole tensor that no input can change by a constant, if that takes no more bytes."""

from __future__ import annotations

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.transforms.ranges import value_ranges
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Replace the first integer tensor that is constant and read by what is not."""
    ranges = value_ranges(graph)
    fixed = {
        name
        for name in graph.producers
        if ranges[name][0].dtype.kind != "f" and (ranges[name][0] == ranges[name][1]).all()
    }
    for name in sorted(fixed - set(graph.results)):
        if not all(_varies(graph, reader, fixed) for reader in graph.consumers[name]):
            continue  # a reader that is constant too comes first, and takes this one along
        edit = GraphEditor(graph)
        type, data = graph.type(name), np.array(ranges[name][0])
        edit.replace_uses(name, edit.constant(data, hint=name, quant=type.quant, dtype=type.dtype))
        smaller, node = edit.finish(), graph.producers[name]
        if smaller.constant_bytes <= graph.constant_bytes:
            return Patch(smaller, node.label, "the output is the same for every input")
        refuse(node, "the output is always the same, but storing it takes more than computing it")
    return None


def _varies(graph: Graph, node: Node, fixed: set[str]) -> bool:
    """Whether some operand of the node depends on the model's input."""
    operands = (name for name in node.inputs if name is not None and name not in fixed)
    return any(not graph.values[name].is_constant for name in operands)


RULE = Rewrite("fold_constant_values", exact=True, requires="integer", find=find)
