"""What several rules do to a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node, QuantParams, TensorType, Value


def set_constant(
    edit: GraphEditor,
    node: Node,
    operand: int,
    data: np.ndarray[Any, Any],
    *,
    quant: QuantParams | None = None,
    hint: str = "bias",
) -> Node:
    """Give a node another constant operand and return the node as it now is.

    The constant keeps its name if nothing else reads it. An operand that was left out is added.
    """
    inputs = [*node.inputs, *[None] * (operand + 1 - len(node.inputs))]
    old = inputs[operand]
    data = np.ascontiguousarray(data)
    if old is not None and _readers(edit, old) == 1:
        edit.values[old] = Value(old, TensorType(data.shape, str(data.dtype), quant), data)
        edit.modified = True
        return node
    inputs[operand] = edit.constant(data, hint=old or hint, quant=quant)
    return edit.update(node, inputs=tuple(inputs))


def _readers(edit: GraphEditor, name: str) -> int:
    results = [*edit.outputs, *(s.output for s in edit.states)]
    return sum(node.inputs.count(name) for node in edit.nodes) + results.count(name)


def only_reader(graph: Graph, name: str) -> Node | None:
    """The only node that reads a value, unless the model keeps or outputs it."""
    readers = graph.consumers[name]
    return readers[0] if len(readers) == 1 and name not in graph.results else None


def bypass(graph: Graph, node: Node, source: str) -> Graph | None:
    """The graph without a node whose output is `source` itself; None if it has to stay.

    The model's outputs keep their names, so an output cannot be another output, an input or a
    constant.
    """
    edit = GraphEditor(graph)
    (out,) = node.outputs
    if out not in graph.outputs:
        edit.replace_uses(out, source)
        return edit.finish()
    producer = graph.producers.get(source)
    if producer is None or source in graph.outputs:
        return None
    edit.remove(node)
    edit.replace_uses(source, out)
    outputs = tuple(out if name == source else name for name in producer.outputs)
    for i, other in enumerate(edit.nodes):
        if other.outputs == producer.outputs:
            edit.nodes[i] = Node(other.op, other.inputs, outputs, other.name)
    return edit.finish()
