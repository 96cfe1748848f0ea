"""The ``.tflite`` format: its schema as a table of tables, and a reader and writer for it."""

from __future__ import annotations

from smidgen.schema.codec import decode, encode
from smidgen.schema.enums import ActivationFunctionType, BuiltinOperator, Padding, TensorType
from smidgen.schema.fields import Record, Table
from smidgen.schema.tables import TABLES

__all__ = [
    "TABLES",
    "ActivationFunctionType",
    "BuiltinOperator",
    "Padding",
    "Record",
    "Table",
    "TensorType",
    "decode",
    "encode",
]
