"""Put batch normalizations back that folding took away, so that a network trains as it once did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import Role, get_op

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

_IMAGE_RANK = 4
_LENGTH = 2**0.5  # of a channel's weights: their variance is 2 over their number


def bare_convolutions(graph: Graph) -> tuple[Graph, list[str]]:
    """Where normalizations have been folded away.

    A folded one leaves a convolution with a bias before other layers; a network that has
    normalizations still, of batches or (by the root of a variance) of layers, has lost none. A
    projection, which is 1x1 and added to what a larger convolution makes, is taken to have had
    none: one of the two suffices, and one too many trains worse than one too few.

    Returns:
        The graph with activations apart from those convolutions, and the names of what the
        convolutions put out.

    Example:
        >>> bare_convolutions(model)[1]
        []
    """
    if any(_op(n).scale_operand is not None or n.op.name == "RSQRT" for n in graph.nodes):
        return graph, []
    edit, names, inner = GraphEditor(graph), [], _read_by_layers(graph)
    for node in graph.nodes:
        if not _has_folded(graph, node) or node.outputs[0] not in inner:
            continue
        if _is_projection(graph, node):
            continue
        (out,) = node.outputs
        fused = getattr(node.op, "fused_activation_function", "NONE")
        if fused == "NONE":
            names.append(out)
            continue
        op: Any = node.op
        linear = replace(op, fused_activation_function="NONE")
        raw = edit.insert(linear, list(node.inputs), name=node.name, hint=f"{out}/linear")
        edit.replace_node(node, Node(get_op(fused)(), (raw,), (out,), node.name))
        names.append(raw)
    return edit.finish(), names


def restore_batch_norms(graph: Graph, moments: Mapping[str, tuple[Array, Array]]) -> Graph:
    """The graph with a normalization after each of these values that changes nothing yet.

    Folding scaled each channel's weights by what the normalization divided by, a hundred times down
    where inputs are pixels of 0 to 255. An optimizer's steps would then be far too large for them:
    they are scaled back to the length that He et al. (2015) begin with, and the normalization makes
    up for it.

    Args:
        graph: a float graph, as `bare_convolutions` makes it.
        moments: mean and variance (channels,) of values by name, over samples.

    Returns:
        A graph that computes the same, where training mode normalizes with a batch's own moments.
    """
    edit = GraphEditor(graph)
    norm: Any = get_op("BATCH_NORM")()
    for name, (mean, variance) in moments.items():
        node = graph.producers[name]
        op: Any = node.op
        inputs, factor = _scaled(edit, node)
        raw = edit.insert(op, inputs, name=node.name, hint=f"{name}/unnormalized")
        gamma = np.sqrt(variance * factor**2 + norm.epsilon) / factor
        operands = {
            "gamma": gamma, "beta": mean, "mean": mean * factor, "variance": variance * factor**2,
        }  # fmt: skip
        constants = [
            edit.constant(a.astype(np.float32), hint=f"{name}/{key}") for key, a in operands.items()
        ]
        edit.replace_node(node, Node(norm, (raw, *constants), (name,), node.name))
    return edit.finish()


def _scaled(edit: GraphEditor, node: Node) -> tuple[list[str | None], Array]:
    """Operands with each channel's weights as long as He initialization makes them, and bias alike.

    Returns:
        The operands, and the factor (channels,) by which they and so the results are larger.
    """
    rule = _op(node).quant_rule(*edit.graph.types(node.inputs))
    inputs = list(node.inputs)
    constants = {
        role: (i, np.asarray(edit.graph.data(name), np.float64))
        for i, (role, name) in enumerate(zip(rule.roles, node.inputs, strict=False))
        if role in (Role.WEIGHT, Role.BIAS) and name is not None
    }
    operand, weights = constants[Role.WEIGHT]
    axis = rule.weight_axis or 0
    length = np.sqrt(np.square(weights).sum(tuple(a for a in range(weights.ndim) if a != axis)))
    factor = np.where(length > 0, _LENGTH / np.maximum(length, 1e-30), 1.0)
    shape = [-1 if a == axis else 1 for a in range(weights.ndim)]
    for i, array in ((operand, weights * factor.reshape(shape)), constants[Role.BIAS]):
        scaled = array if i == operand else array * factor
        name = inputs[i]
        inputs[i] = edit.constant(scaled.astype(np.float32), hint=f"{name}/scaled")
    return inputs, factor


def _read_by_layers(graph: Graph) -> set[str]:
    """Values that some node with weights depends on."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        roles = _op(node).quant_rule(*graph.types(node.inputs)).roles
        if Role.WEIGHT in roles or found & set(node.outputs):
            found |= {name for name in node.inputs if name is not None}
    return found


def _has_folded(graph: Graph, node: Node) -> bool:
    """Whether a node is a convolution with weights and a bias of its own."""
    if len(node.outputs) != 1 or graph.type(node.outputs[0]).rank != _IMAGE_RANK:
        return False
    roles = _op(node).quant_rule(*graph.types(node.inputs)).roles
    own = {
        role
        for role, name in zip(roles, node.inputs, strict=False)
        if name is not None and graph.data(name) is not None and len(graph.consumers[name]) == 1
    }
    weights = [n for r, n in zip(roles, node.inputs, strict=False) if r is Role.WEIGHT]
    wide = all(n is not None and graph.type(n).rank == _IMAGE_RANK for n in weights)
    has_activation = hasattr(node.op, "fused_activation_function")
    return {Role.WEIGHT, Role.BIAS} <= own and wide and has_activation


def _is_projection(graph: Graph, node: Node) -> bool:
    """Whether a 1x1 convolution's result is only added to what a larger convolution makes."""
    readers = graph.consumers[node.outputs[0]]
    if len(readers) != 1 or readers[0].op.name != "ADD":
        return False
    others = [graph.producers.get(n or "") for n in readers[0].inputs if n != node.outputs[0]]
    sizes = [_kernel_size(graph, other) for other in (node, *others) if other is not None]
    return len(sizes) == 2 and sizes[0] == 1 < sizes[1]


def _kernel_size(graph: Graph, node: Node) -> int:
    """Pixels that a convolution reads for one of its own; 0 of another node."""
    if node.op.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return 0
    _, height, width, _ = graph.type(node.inputs[1] or "").shape
    return height * width


def _op(node: Node) -> Op:
    return node.op  # type: ignore[return-value]
