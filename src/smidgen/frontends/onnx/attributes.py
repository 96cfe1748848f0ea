"""The attributes of a node → plain Python values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.onnx.reader import DAMAGED, ExternalData, clean
from smidgen.frontends.onnx.tensors import to_array

# Numbers of AttributeProto.AttributeType.
FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS = range(1, 9)


def read_attributes(
    node: Any, bound: Mapping[str, Any], external: ExternalData, label: str
) -> dict[str, Any]:
    """The attributes by name.

    Args:
        node: the NodeProto.
        bound: attributes of the call, where the node belongs to a function, by name.
        external: where tensors outside the file are.
        label: of the node, for messages.

    Returns:
        int, float, str, lists of them, arrays, and GraphProtos.

    Raises:
        ModelFileError: if one has no value of its type.
        UnsupportedModelError: if one is of a kind that no supported operator has.
    """
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        source = attribute
        if attribute.ref_attr_name:
            source = bound.get(attribute.ref_attr_name)
            if source is None:  # the call leaves it out: the operator's default holds
                continue
        found[attribute.name] = _value(source, external, label)
    return found


def _value(attribute: Any, external: ExternalData, label: str) -> Any:
    kind = attribute.type
    if kind == FLOAT:
        return float(attribute.f)
    if kind == INT:
        return int(attribute.i)
    if kind == STRING:
        return _text(attribute.s)
    if kind == TENSOR and attribute.HasField("t"):
        return to_array(attribute.t, external)
    if kind == GRAPH and attribute.HasField("g"):
        return attribute.g
    if kind == FLOATS:
        return list(attribute.floats)
    if kind == INTS:
        return list(attribute.ints)
    if kind == STRINGS:
        return [_text(s) for s in attribute.strings]
    if kind in (TENSOR, GRAPH) or not kind:
        raise ModelFileError(
            f"its attribute {clean(attribute.name)!r} has no value", where=label, hint=DAMAGED
        )
    raise UnsupportedModelError(
        f"its attribute {clean(attribute.name)!r} holds sparse tensors, types or lists of graphs",
        where=label,
        hint="export it with plain tensors",
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
