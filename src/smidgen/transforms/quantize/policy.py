"""What the runtimes can run: read off the operators, which state it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smidgen.ir import Graph, Node, TensorType
from smidgen.ops import Role, Unsupported

if TYPE_CHECKING:
    from smidgen.ops import Op

# Of a layer's bias, by its activations: runtimes take no other in every int16 operator.
BIAS_DTYPES = {"int8": "int32", "int16": "int64"}


def why_not_integer(graph: Graph, node: Node, dtype: str = "int8") -> str | None:
    """None if the node can be computed in `dtype`, otherwise the reason it stays float."""
    op: Op = node.op  # type: ignore[assignment]
    for concern in (op.int_ref, op.quant_rule):
        if isinstance(concern, Unsupported):
            return concern.why
    types = graph.types(node.inputs)
    rule = op.quant_rule(*types)
    made = [graph.type(n).dtype for n in node.outputs]
    if rule.outputs is Role.INDEX:
        # An index or a truth value that is found among quantities.
        if "float32" in made or Role.ACTIVATION not in rule.roles:
            return "its result is not a quantity"
    for role, name, type in zip(rule.roles, node.inputs, types, strict=False):
        if type is None or role is Role.INDEX:
            continue
        if type.dtype != "float32":
            return f"operand {name!r} is {type.dtype}"
        if role in (Role.WEIGHT, Role.BIAS) and graph.data(name) is None:
            return f"its {role.value} {name!r} is computed at run time"
    if rule.outputs is not Role.INDEX and any(dtype != "float32" for dtype in made):
        return "its result is not float32"
    if dtype != "int8":
        try:
            op.infer(*integer_types(op, types, "int8", dtype))
        except ValueError as error:
            return str(error)
    return None


def weight_dtype(graph: Graph, node: Node, wanted: str) -> str:
    """The dtype that a node's weights can have: what is wanted if it can be, otherwise int8."""
    op: Op = node.op  # type: ignore[assignment]
    try:
        op.infer(*integer_types(op, graph.types(node.inputs), wanted))
    except ValueError:
        return "int8"
    return wanted


def integer_types(
    op: Op, types: tuple[TensorType | None, ...], weights: str, activations: str = "int8"
) -> tuple[TensorType | None, ...]:
    """The types of a float node's operands once it is quantized, but for the scales.

    Args:
        op: the operator.
        types: of the operands, float.
        weights: the dtype of its weights.
        activations: the dtype of its activations.
    """
    dtypes = {
        Role.ACTIVATION: activations,
        Role.WEIGHT: weights,
        Role.BIAS: BIAS_DTYPES[activations],
    }
    rule = op.quant_rule(*types)
    found = list(types)
    for i, (role, type) in enumerate(zip(rule.roles, types, strict=False)):
        if type is not None and role is not Role.INDEX:
            found[i] = TensorType(type.shape, "int16" if i in rule.powers else dtypes[role])
    return tuple(found)
