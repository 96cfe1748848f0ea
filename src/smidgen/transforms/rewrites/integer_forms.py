"""Say with operators that have integer kernels what others say, before a graph is quantized.

A square is a product, and so is minus x, a quotient by a constant, and a power by a constant that
is 2; other powers are roots. The average over a whole image is a mean, whose result has a scale of
its own: a pool's is that of what it reads, of which averages take a few steps only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import get_op
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

Array = np.ndarray[Any, Any]

_ROOTS = {0.5: "SQRT", -0.5: "RSQRT"}


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Replace the first operator that has such a form."""
    for node in graph.nodes:
        if node.inputs[0] is None or graph.type(node.inputs[0]).dtype != "float32":
            continue
        if node.op.name == "SQUARE":
            return _product(graph, node, None)
        if node.op.name == "NEG":
            return _product(graph, node, np.full(1, -1, np.float32))
        if node.op.name == "AVERAGE_POOL_2D" and _whole_image(graph, node):
            edit = GraphEditor(graph)
            mean: Any = get_op("MEAN")
            edit.replace_node(node, replace(node, op=mean((1, 2), keep_dims=True)))
            return Patch(edit.finish(), node.label, "is a mean")
        second = graph.data(node.inputs[1]) if len(node.inputs) > 1 else None
        if second is None or second.dtype != np.float32:
            continue
        if node.op.name == "DIV":
            with np.errstate(all="ignore"):
                inverse = np.float32(1) / second
            if np.isfinite(inverse).all() and inverse.all():
                return _product(graph, node, inverse)
            refuse(node, "a divisor has no inverse")
        if node.op.name == "POW" and second.size == 1 and graph.data(node.inputs[0]) is None:
            if second.item() == 2:
                return _product(graph, node, None)
            if second.item() in _ROOTS and _same_shape(graph, node):
                edit = GraphEditor(graph)
                edit.replace_node(
                    node,
                    replace(node, op=get_op(_ROOTS[second.item()])(), inputs=node.inputs[:1]),
                )
                return Patch(edit.finish(), node.label, f"is {_ROOTS[second.item()]}")
    return None


def _whole_image(graph: Graph, node: Node) -> bool:
    """Whether a pool's only window is the image."""
    op: Any = node.op
    (x,), (out,) = graph.types(node.inputs), graph.types(node.outputs)
    window = (op.filter_height, op.filter_width)
    return (
        x is not None
        and out is not None
        and window == x.shape[1:3] != (1, 1)
        and out.shape[1:3] == (1, 1)
        and op.fused_activation_function == "NONE"
    )


def _same_shape(graph: Graph, node: Node) -> bool:
    (x, *_), (out,) = graph.types(node.inputs), graph.types(node.outputs)
    return x is not None and out is not None and x.shape == out.shape


def _product(graph: Graph, node: Node, factor: Array | None) -> Patch | None:
    """The operand times a factor, or times itself."""
    edit = GraphEditor(graph)
    other = node.inputs[0] if factor is None else edit.constant(factor, hint="factor")
    op: Any = get_op("MUL")
    activation = getattr(node.op, "fused_activation_function", "NONE")
    edit.replace_node(node, replace(node, op=op(activation), inputs=(node.inputs[0], other)))
    return Patch(edit.finish(), node.label, "is a product")


RULE = Rewrite("integer_forms", exact=False, requires="float", find=find)
