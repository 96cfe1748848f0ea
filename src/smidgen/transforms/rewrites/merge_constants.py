"""Store equal constants once."""

from __future__ import annotations

from smidgen.ir import Graph, GraphEditor, TensorType
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Let all readers of equal constants of one type read the first of them."""
    firsts: dict[tuple[TensorType, bytes], str] = {}
    twins: dict[str, str] = {}
    for name, value in graph.values.items():
        if value.data is not None and graph.consumers[name]:
            first = firsts.setdefault((value.type, value.data.tobytes()), name)
            if first != name and name not in graph.outputs:
                twins[name] = first
    if not twins:
        return None
    edit = GraphEditor(graph)
    for twin, first in twins.items():
        edit.replace_uses(twin, first)
    where = graph.consumers[next(iter(twins))][0].label
    return Patch(edit.finish(), where, f"{len(twins)} constants equal others")


RULE = Rewrite("merge_constants", exact=True, requires="any", find=find)
