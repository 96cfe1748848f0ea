"""Take out operators that pass their operand on as it is, alone or together with another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.interpreter import run_node
from smidgen.ir import Graph, GraphEditor, Node, TensorType
from smidgen.transforms.ranges import value_ranges
from smidgen.transforms.rewrites._edit import bypass
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Remove the first operator that changes nothing, or merge the first pair that can be one."""
    for node in graph.nodes:
        patch = _identity(graph, node, refuse) or _pair(graph, node, refuse)
        if patch is not None:
            return patch
    return _clamps_nothing(graph, refuse)


def _identity(graph: Graph, node: Node, refuse: Refuse) -> Patch | None:
    """The graph without a node that computes its first operand."""
    rule = _IDENTITIES.get(node.op.name)
    source, (out, *_) = node.inputs[0], node.outputs
    if rule is None or source is None or graph.type(source) != graph.type(out):
        return None
    if not rule(node.op, graph.type(source)):
        return None
    return _without(graph, node, source, "changes nothing", refuse)


def _without(graph: Graph, node: Node, source: str, what: str, refuse: Refuse) -> Patch | None:
    smaller = bypass(graph, node, source)
    if smaller is None:
        refuse(node, "it changes nothing, but gives an output of the model its name")
        return None
    return Patch(smaller, node.label, what)


def _pair(graph: Graph, node: Node, refuse: Refuse) -> Patch | None:
    """One node in place of two that follow each other, or none."""
    middle = node.inputs[0] if node.inputs else None
    before = None if middle is None else graph.producers.get(middle)
    if before is None or before.inputs[0] is None:
        return None
    source, op, first = before.inputs[0], node.op, before.op
    x, out = graph.type(source), graph.type(node.outputs[0])
    names = (first.name, op.name)
    if names == ("DEQUANTIZE", "QUANTIZE") and x == out and x.dtype in ("int8", "uint8", "int16"):
        return _without(graph, node, source, f"undoes {before.label}", refuse)
    merged: Any = op
    if names == ("TRANSPOSE", "TRANSPOSE"):
        merged = replace(merged, perm=tuple(first.perm[axis] for axis in merged.perm))  # type: ignore[attr-defined]
    elif names != ("RESHAPE", "RESHAPE"):
        return None
    edit = GraphEditor(graph)
    edit.update(node, op=merged, inputs=(source, *node.inputs[1:]))
    return Patch(edit.finish(), node.label, f"merged with {before.label}")


def _clamps_nothing(graph: Graph, refuse: Refuse) -> Patch | None:
    """Remove the first activation whose integer operand never leaves the values it keeps."""
    found = [n for n in graph.nodes if n.op.name in ("RELU", "RELU6", "LEAKY_RELU")]
    found = [n for n in found if graph.type(n.outputs[0]).quant is not None]
    ranges = value_ranges(graph) if found else {}
    for node in found:
        source = node.inputs[0]
        if source is None or graph.type(source) != graph.type(node.outputs[0]):
            continue
        low, high = (int(end) for end in (ranges[source][0].min(), ranges[source][1].max()))
        every = np.arange(low, high + 1).astype(ranges[source][0].dtype).reshape(1, -1)
        if np.array_equal(run_node(graph, node, {source: every})[0], every):
            patch = _without(graph, node, source, f"nothing leaves {low} to {high}", refuse)
            if patch is not None:
                return patch
    return None


def _always(op: Any, x: TensorType) -> bool:
    return True  # the types are equal, which is all that there is to it


def _no_window(op: Any, x: TensorType) -> bool:
    shape = (op.filter_height, op.filter_width, op.stride_h, op.stride_w)
    return shape == (1, 1, 1, 1) and op.fused_activation_function == "NONE"


def _same_order(op: Any, x: TensorType) -> bool:
    moved = [axis for axis in op.perm if x.shape[axis] != 1]  # axes of size 1 may go anywhere
    return moved == sorted(moved)


def _same_pixels(op: Any, x: TensorType) -> bool:
    places = zip(op.sources(*x.shape[1:3]), x.shape[1:3], strict=True)
    return all(np.array_equal(sources, np.arange(size)) for sources, size in places)


# By operator: whether it changes nothing, once input and output are known to be of one type.
_IDENTITIES: dict[str, Callable[[Any, TensorType], bool]] = {
    "RESHAPE": _always,
    "QUANTIZE": _always,
    "PAD": _always,
    "PADV2": _always,
    "CONCATENATION": _always,
    "SPLIT": _always,
    "SPLIT_V": _always,
    "SLICE": _always,
    "TILE": _always,
    "BROADCAST_TO": _always,
    "MIRROR_PAD": _always,
    "SPACE_TO_DEPTH": _always,
    "DEPTH_TO_SPACE": _always,
    "SPACE_TO_BATCH_ND": _always,
    "BATCH_TO_SPACE_ND": _always,
    "REDUCE_MAX": _always,
    "REDUCE_MIN": _always,
    "RESIZE_BILINEAR": _always,
    "REVERSE_V2": lambda op, x: all(x.shape[axis] == 1 for axis in op.axis),
    "TRANSPOSE": _same_order,
    "STRIDED_SLICE": lambda op, x: all(t.step == 1 for t in op.positions(x.shape)),
    "AVERAGE_POOL_2D": _no_window,
    "MAX_POOL_2D": _no_window,
    "RESIZE_NEAREST_NEIGHBOR": _same_pixels,
}

RULE = Rewrite("remove_identity", exact=True, requires="any", find=find)
