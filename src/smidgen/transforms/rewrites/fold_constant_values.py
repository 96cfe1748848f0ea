"""Replace whole tensors that no input can change."""

from __future__ import annotations

import numpy as np

from smidgen.ir import Graph, GraphEditor
from smidgen.transforms.ranges import value_ranges
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Make a constant of each integer tensor of which every element has two equal bounds."""
    ranges = value_ranges(graph)
    edit = GraphEditor(graph)
    fixed = []
    for node in graph.nodes:
        for name in node.outputs:
            low, high = ranges[name]
            if low.dtype.kind == "f" or (low != high).any() or name in graph.outputs:
                continue
            type = graph.type(name)
            constant = edit.constant(np.array(low), hint=name, quant=type.quant, dtype=type.dtype)
            edit.replace_uses(name, constant)
            fixed.append(node.label)
    if not fixed:
        return None
    where = fixed[0] + (f" and {len(fixed) - 1} more" if len(fixed) > 1 else "")
    return Patch(edit.finish(), where, "the output is the same for every input")


RULE = Rewrite("fold_constant_values", exact=True, requires="integer", find=find)
