"""The intermediate representation: graphs of named, typed values. Knows no file format."""

from smidgen.ir.builder import GraphBuilder
from smidgen.ir.editor import GraphEditor
from smidgen.ir.graph import Graph, Node, Operator, State, Value
from smidgen.ir.int4 import INT4_MAX, INT4_MIN, pack_int4, unpack_int4
from smidgen.ir.text import parse, to_text
from smidgen.ir.types import ITEM_BITS, QuantParams, TensorType, numpy_dtype
from smidgen.ir.verify import verify

__all__ = [
    "INT4_MAX",
    "INT4_MIN",
    "ITEM_BITS",
    "Graph",
    "GraphBuilder",
    "GraphEditor",
    "Node",
    "Operator",
    "QuantParams",
    "State",
    "TensorType",
    "Value",
    "numpy_dtype",
    "pack_int4",
    "parse",
    "to_text",
    "unpack_int4",
    "verify",
]
