"""Say in one way what operators say in several, so that other rules need to know one only.

What only names axes anew is a RESHAPE, a block of a tensor is a STRIDED_SLICE, and a result of a
split that is the only one needed is taken on its own.
"""

from __future__ import annotations

from typing import Any

from smidgen.ir import Graph, GraphEditor, Node, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

_RENAMES = ("SQUEEZE", "EXPAND_DIMS")
_SPLITS = ("SPLIT", "SPLIT_V", "UNPACK")


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Replace the first operator that has a plainer form."""
    for node in graph.nodes:
        patch = _reshape(graph, node) or _slice(graph, node) or _parts(graph, node)
        if patch is not None:
            return patch
    return None


def _reshape(graph: Graph, node: Node) -> Patch | None:
    """SQUEEZE, EXPAND_DIMS, and PACK and UNPACK of a single tensor."""
    alone = node.op.name in ("PACK", "UNPACK") and len(node.inputs) == len(node.outputs) == 1
    if node.op.name not in _RENAMES and not alone:
        return None
    edit = GraphEditor(graph)
    reshape: Any = get_op("RESHAPE")
    edit.update(node, op=reshape(graph.type(node.outputs[0]).shape))
    return Patch(edit.finish(), node.label, "moves nothing: now a RESHAPE")


def _slice(graph: Graph, node: Node) -> Patch | None:
    """SLICE."""
    op: Any = node.op
    if op.name != "SLICE" or node.inputs[0] is None:
        return None
    x = graph.type(node.inputs[0])
    edit = GraphEditor(graph)
    edit.update(node, op=_strided(x, op.positions(x.shape)))
    return Patch(edit.finish(), node.label, "now a STRIDED_SLICE")


def _parts(graph: Graph, node: Node) -> Patch | None:
    """A split of which not every result is read: those that are, taken one by one."""
    read = [n for n in node.outputs if graph.consumers[n] or n in graph.results]
    if node.op.name not in _SPLITS or node.inputs[0] is None or len(read) == len(node.outputs):
        return None
    if len(read) > len(node.outputs) // 2:
        return None  # one pass over the operand is less work than several
    op: Any = node.op
    x, shrink = graph.type(node.inputs[0]), op.name == "UNPACK"
    edit = GraphEditor(graph)
    slices, first = [], 0
    for name, size in zip(node.outputs, op.parts(x), strict=True):
        taken = [range(n) for n in x.shape]
        taken[op.axis] = range(first, first + size)
        first += size
        if name in read:
            slice = _strided(x, taken, axis=op.axis if shrink else None)
            slices.append(Node(slice, node.inputs, (name,), node.name))
    edit.replace_node(node, slices)
    what = f"{len(read)} of {len(node.outputs)} results are read: taken one by one"
    return Patch(edit.finish(), node.label, what)


def _strided(x: TensorType, taken: list[range], axis: int | None = None) -> Any:
    """The STRIDED_SLICE of these positions; `axis`, if given, goes."""
    whole = [t == range(n) for t, n in zip(taken, x.shape, strict=True)]
    mask = sum(1 << i for i, all_of_it in enumerate(whole) if all_of_it and i != axis)
    slice: Any = get_op("STRIDED_SLICE")
    return slice(
        tuple(0 if mask >> i & 1 else t.start for i, t in enumerate(taken)),
        tuple(0 if mask >> i & 1 else t.stop for i, t in enumerate(taken)),
        (1,) * x.rank,
        mask,
        mask,
        0 if axis is None else 1 << axis,
    )


RULE = Rewrite("plain_forms", exact=True, requires="any", find=find)
