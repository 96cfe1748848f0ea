"""The intermediate representation: graphs of named, typed values. Knows no file format."""

from smidgen.ir.builder import GraphBuilder
from smidgen.ir.editor import GraphEditor
from smidgen.ir.graph import Graph, Node, Operator, Value
from smidgen.ir.text import parse, to_text
from smidgen.ir.types import ITEM_BITS, QuantParams, TensorType, numpy_dtype
from smidgen.ir.verify import verify

__all__ = [
    "ITEM_BITS",
    "Graph",
    "GraphBuilder",
    "GraphEditor",
    "Node",
    "Operator",
    "QuantParams",
    "TensorType",
    "Value",
    "numpy_dtype",
    "parse",
    "to_text",
    "verify",
]
