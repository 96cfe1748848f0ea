"""Let the layer before a RELU or RELU6 do the clamping."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from smidgen.interpreter import run_node
from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops._activation import BOUNDS, int_bounds
from smidgen.transforms.rewrites._edit import only_reader
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

ACTIVATIONS = {"RELU", "RELU6"}


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fuse the first activation that can be."""
    for node in graph.nodes:
        source = node.inputs[0] if node.op.name in ACTIVATIONS else None
        before = None if source is None else graph.producers.get(source)
        if source is None or before is None or not _has_activation(before):
            continue
        op: Any = before.op
        fused = _both(op.fused_activation_function, node.op.name)
        if fused is None:
            refuse(node, f"no activation does what it and {op.fused_activation_function} do")
        elif only_reader(graph, source) is None:
            refuse(node, f"the output of {before.label} is needed without it, too")
        elif not _clamps_alike(graph, node, fused):
            refuse(node, "it changes the scale or zero point, which rounds a second time")
        else:
            edit = GraphEditor(graph)
            edit.remove(node)
            merged = Node(
                replace(op, fused_activation_function=fused),
                before.inputs,
                node.outputs,
                before.name or node.name,
            )
            edit.replace_node(before, merged)
            return Patch(edit.finish(), node.label, f"fused into {before.label}")
    return None


def _has_activation(node: Node) -> bool:
    names = (f.name for f in fields(node.op))  # type: ignore[arg-type]
    return "fused_activation_function" in names


def _both(first: str, second: str) -> str | None:
    """The activation that clamps like one after the other, if there is one."""
    low = max(BOUNDS[first][0], BOUNDS[second][0])
    high = min(BOUNDS[first][1], BOUNDS[second][1])
    return next((name for name, bounds in BOUNDS.items() if bounds == (low, high)), None)


def _clamps_alike(graph: Graph, node: Node, fused: str) -> bool:
    """Whether the node does to every value what the fused activation will do."""
    x, out = graph.types((node.inputs[0], node.outputs[0]))
    assert x is not None and out is not None and node.inputs[0] is not None
    if out.quant is None:
        return True
    if x != out:
        return False
    info = np.iinfo(x.dtype)
    every = np.arange(info.min, info.max + 1).astype(x.dtype).reshape(1, -1)
    clamped = np.clip(every, *int_bounds(node.op.name, out.quant, out.dtype))
    return bool((run_node(graph, node, {node.inputs[0]: every})[0] == clamped).all())


RULE = Rewrite("fuse_activation", exact=True, requires="any", find=find)
