"""Which layers of an integer graph are still computed in floats, why, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.ir import Graph, Node
from smidgen.transforms.quantize.policy import why_not_integer

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class FloatLayer:
    """One layer that stayed float.

    Args:
        layer: the node's label.
        value: the name of its output.
        reason: why it is not an integer layer.
        elements: of its outputs, each four bytes instead of one.
        converted: elements that are quantized or dequantized for it alone.
    """

    layer: str
    value: str
    reason: str
    elements: int
    converted: int


def float_layers(graph: Graph) -> list[FloatLayer]:
    """The layers of an integer graph that compute float32 numbers, in order.

    Layers on indices and truth values are not among them: those have no scale.

    Args:
        graph: an integer graph; a float graph has none.

    Example:
        >>> float_layers(int8)
        []
    """
    if not graph.is_quantized:
        return []
    return [_describe(graph, node) for node in graph.nodes if _is_float(graph, node)]


def _is_float(graph: Graph, node: Node) -> bool:
    touched = (*(t for t in graph.types(node.inputs) if t is not None),)
    made = [graph.type(name) for name in node.outputs]
    floats = any(t.dtype == "float32" for t in (*touched, *made))
    return floats and node.op.name not in _CONVERSIONS


def _describe(graph: Graph, node: Node) -> FloatLayer:
    reason = why_not_integer(graph, node)
    if reason is None:
        reason = "the recipe leaves it in float32, or no kernel computes with the scales it needs"
    before = [graph.producers[n] for n in node.inputs if n is not None and n in graph.producers]
    after = [reader for name in node.outputs for reader in graph.consumers[name]]
    converted = sum(
        graph.type(conversion.outputs[0]).size
        for conversion in dict.fromkeys((*before, *after))
        if conversion.op.name in _CONVERSIONS
    )
    elements = sum(graph.type(name).size for name in node.outputs)
    return FloatLayer(node.label, node.outputs[0], reason, elements, converted)
