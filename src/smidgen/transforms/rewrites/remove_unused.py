"""Drop the operators and constants that no output of the model depends on."""

from __future__ import annotations

from smidgen.ir import Graph, GraphEditor
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Drop them all at once; finishing an edit does that."""
    needed = GraphEditor(graph).finish()
    if len(needed.nodes) == len(graph.nodes) and len(needed.values) == len(graph.values):
        return None
    idle = [n.label for n in graph.nodes if n.outputs[0] not in needed.producers]
    constants = len(graph.values) - len(needed.values)
    where = idle[0] if idle else graph.name
    what = f"{len(idle)} operators and {constants} values that no output needs"
    return Patch(needed, where, what)


RULE = Rewrite("remove_unused", exact=True, requires="any", find=find)
