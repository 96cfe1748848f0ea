"""Fold batch normalization into the weights of the layer before it, or of the layers after it.

Where neither is possible it becomes what it is at inference: a MUL and an ADD. Floats only, and
exact but for rounding: the products are formed in float64 and rounded to float32 once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import get_op
from smidgen.ops._window import pad_total
from smidgen.transforms.rewrites._edit import only_reader, set_constant
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

Array = np.ndarray[Any, Any]

# By operator: the weights' axis of the output channels, and that of the input channels.
LAYERS = {
    "CONV_2D": (0, 3),
    "DEPTHWISE_CONV_2D": (3, 3),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (0, 3),
}


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fold the first batch normalization there is."""
    for node in graph.nodes:
        if node.op.name != "BATCH_NORM":
            continue
        factors = _factors(graph, node)
        if factors is None:
            refuse(node, "its statistics are computed at run time")
            continue
        return (
            _into_previous(graph, node, *factors)
            or _into_next(graph, node, *factors, refuse)
            or _into_mul_add(graph, node, *factors)
        )
    return None


def _factors(graph: Graph, node: Node) -> tuple[Array, Array] | None:
    """The normalization as x * scale + offset, float64, each of shape (c,)."""
    op: Any = node.op
    statistics = [graph.data(name) for name in node.inputs[1:]]
    if any(data is None for data in statistics):
        return None
    scale, offset = op.scale_and_offset(*statistics)
    return scale, offset


def _weights(graph: Graph, node: Node | None) -> tuple[Array, Array] | None:
    """A layer's weights and bias in float64 (zeros for none); None if it is no such layer."""
    if node is None or node.op.name not in LAYERS:
        return None
    w = graph.data(node.inputs[1])
    name = node.inputs[2] if len(node.inputs) > 2 else None
    if w is None or w.dtype != np.float32 or (name is not None and graph.data(name) is None):
        return None
    bias = graph.data(name)
    channels = w.shape[LAYERS[node.op.name][0]]
    zeros = np.zeros(channels) if bias is None else bias.reshape(-1)
    return w.astype(np.float64), zeros.astype(np.float64)


def _into_previous(graph: Graph, node: Node, scale: Array, offset: Array) -> Patch | None:
    source = node.inputs[0]
    assert source is not None
    layer = graph.producers.get(source)
    given = _weights(graph, layer)
    if given is None or layer is None or only_reader(graph, source) is None:
        return None
    if layer.op.fused_activation_function != "NONE":  # type: ignore[attr-defined]
        return None
    w, bias = given
    edit = GraphEditor(graph)
    edit.remove(node)
    merged = Node(layer.op, layer.inputs, node.outputs, layer.name or node.name)
    edit.replace_node(layer, merged)
    shape = np.ones(w.ndim, int)
    shape[LAYERS[layer.op.name][0]] = -1
    _set_weights(edit, merged, w * scale.reshape(shape), bias * scale + offset)
    return Patch(edit.finish(), node.label, f"folded into {layer.label} before it")


def _into_next(
    graph: Graph, node: Node, scale: Array, offset: Array, refuse: Refuse
) -> Patch | None:
    (out,) = node.outputs
    readers = graph.consumers[out]
    if out in graph.results or not readers:
        return None
    for reader in readers:
        why = _why_not_next(graph, reader, out, offset)
        if why:
            refuse(node, f"{reader.label} cannot take it in: {why}")
            return None
    edit = GraphEditor(graph)
    for reader in readers:
        given = _weights(graph, reader)
        assert given is not None
        w, bias = given
        changed = edit.update(reader, inputs=(node.inputs[0], *reader.inputs[1:]))
        outputs = LAYERS[reader.op.name][0]
        others = tuple(axis for axis in range(w.ndim) if axis != outputs)
        added = (w * _by_input(graph, reader, w, offset)).sum(axis=others)
        _set_weights(edit, changed, w * _by_input(graph, reader, w, scale), bias + added)
    return Patch(edit.finish(), node.label, f"folded into {readers[0].label} after it")


def _why_not_next(graph: Graph, reader: Node, out: str, offset: Array) -> str:
    """Why a layer cannot take in the normalization of its input; "" if it can."""
    if _weights(graph, reader) is None or reader.inputs.count(out) != 1:
        return "it is no layer with constant float weights"
    weights = reader.inputs[1]
    assert weights is not None
    x, w = graph.type(out), graph.type(weights)
    if reader.op.name == "FULLY_CONNECTED":
        return "" if w.shape[1] % x.shape[-1] == 0 else "its rows break the channels apart"
    if reader.op.name == "TRANSPOSE_CONV":
        return "its outputs are made of different numbers of inputs" if offset.any() else ""
    op: Any = reader.op
    window = op.window(w.shape)
    places = zip(x.shape[1:3], window.positions(x.shape), strict=True)
    padded = any(
        pad_total(size, positions, kernel, stride, dilation)
        for (size, positions), kernel, stride, dilation in zip(
            places, window.kernel, window.stride, window.dilation, strict=True
        )
    )
    if op.padding == "SAME" and padded and offset.any():
        return "its padding is zero, which the normalization would move"
    return ""


def _by_input(graph: Graph, reader: Node, w: Array, values: Array) -> Array:
    """A number for each input channel, shaped to be multiplied with the weights that read it."""
    name = reader.op.name
    if name == "FULLY_CONNECTED":
        return np.tile(values, w.shape[1] // len(values))
    if name == "DEPTHWISE_CONV_2D":
        return np.repeat(values, w.shape[3] // len(values))
    groups = len(values) // w.shape[3]
    by_group = values.reshape(groups, 1, 1, 1, w.shape[3])
    shape = (groups, w.shape[0] // groups, 1, 1, w.shape[3])
    return np.broadcast_to(by_group, shape).reshape(w.shape[0], 1, 1, w.shape[3])


def _into_mul_add(graph: Graph, node: Node, scale: Array, offset: Array) -> Patch:
    edit = GraphEditor(graph)
    edit.remove(node)
    source = node.inputs[0]
    assert source is not None
    factor = edit.constant(scale.astype(np.float32), hint=f"{node.outputs[0]}_scale")
    term = edit.constant(offset.astype(np.float32), hint=f"{node.outputs[0]}_offset")
    product = edit.insert(get_op("MUL")(), [source, factor], hint=f"{node.outputs[0]}_scaled")
    edit.nodes.append(Node(get_op("ADD")(), (product, term), node.outputs, node.name))
    return Patch(edit.finish(), node.label, "now a MUL and an ADD: no layer can take it in")


def _set_weights(edit: GraphEditor, node: Node, w: Array, bias: Array) -> None:
    node = set_constant(edit, node, 1, w.astype(np.float32))
    set_constant(edit, node, 2, bias.astype(np.float32))


RULE = Rewrite("fold_batch_norm", exact=False, requires="any", find=find)
