"""Bodies of functions, and operators that ONNX itself defines by other operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.frontends.onnx.reader import import_onnx
from smidgen.ir import TensorType

_NUMBERS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 7, "bool": 9}


def schema_function(
    node: Any, version: int, types: Sequence[TensorType | None] | None
) -> Any | None:
    """The FunctionProto that ONNX defines an operator by, None if it has none.

    Args:
        node: the NodeProto, of ai.onnx.
        version: the opset.
        types: of its operands; None to ask only for functions that are the same for all.
    """
    defs = import_onnx().defs
    try:
        schema = defs.get_schema(node.op_type, version, "")
    except Exception:  # the class of the error is private to the package
        return None
    if schema.deprecated:
        return None
    if schema.has_function:
        return _usable(schema.function_body)
    if schema.has_context_dependent_function and types is not None:
        encoded = [_type_proto(type).SerializeToString() for type in types]
        try:
            body = schema.get_context_dependent_function(node.SerializeToString(), encoded)
        except Exception:
            return None
        function = import_onnx().FunctionProto()
        function.ParseFromString(body)
        return _usable(function)
    return None


def _usable(function: Any) -> Any | None:
    return function if len(function.node) else None


def _type_proto(type: TensorType | None) -> Any:
    onnx = import_onnx()
    if type is None:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(_NUMBERS[type.dtype], list(type.shape))


def resolved(node: Any, bound: Mapping[str, Any]) -> Any:
    """A function's node with the attributes of the call in place of references to them."""
    if not any(attribute.ref_attr_name for attribute in node.attribute):
        return node
    changed = type(node)()
    changed.CopyFrom(node)
    del changed.attribute[:]
    for attribute in node.attribute:
        source = bound.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        if source is not None:
            added = changed.attribute.add()
            added.CopyFrom(source)
            added.name = attribute.name
    return changed


def without(node: Any, missing: set[str]) -> Any:
    """A function's node, reading nothing in place of operands that the call leaves out."""
    if not missing.intersection(node.input):
        return node
    changed = type(node)()
    changed.CopyFrom(node)
    changed.input[:] = ["" if name in missing else name for name in node.input]
    return changed
