"""Changing constants, which the rules that fold do."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import GraphEditor, Node, QuantParams, TensorType, Value


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
    return sum(node.inputs.count(name) for node in edit.nodes) + edit.outputs.count(name)
