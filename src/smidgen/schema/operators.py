"""Which options table goes with which builtin operator."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.errors import ModelFileError
from smidgen.schema.enums import BuiltinOperator
from smidgen.schema.fields import Record, Scalar
from smidgen.schema.tables import TABLES

RESOURCE_OPERATORS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
"""The operators on resource variables: what a model remembers."""

# Most tables are named after their operator; these are not.
_SHARED = {
    "Pool2DOptions": "AVERAGE_POOL_2D L2_POOL_2D MAX_POOL_2D",
    "ReducerOptions": (
        "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL"  # one table for all
    ),
    "MaximumMinimumOptions": "MAXIMUM MINIMUM",
    "L2NormOptions": "L2_NORMALIZATION",
    "Conv3DOptions": "CONV_3D CONV_3D_TRANSPOSE",
    "SequenceRNNOptions": "UNIDIRECTIONAL_SEQUENCE_RNN",
    "RandomOptions": "RANDOM_STANDARD_NORMAL RANDOM_UNIFORM MULTINOMIAL",
    "StableHLOCompositeOptions": "STABLEHLO_COMPOSITE",
}


def _tables() -> dict[str, str]:
    found = {
        operator: table for table, operators in _SHARED.items() for operator in operators.split()
    }
    by_name = {name.removesuffix("Options").upper(): name for name in TABLES if "Options" in name}
    for operator in BuiltinOperator:
        table = by_name.get(operator.name.replace("_", ""))
        if table is not None:
            found.setdefault(operator.name, table)
    return found


OPTIONS_OF: dict[str, str] = _tables()
"""The options table of each builtin operator, by name; operators without one are left out."""


def default_options(operator: str) -> Record:
    """Return the options of an operator none of whose fields is set in the file.

    Args:
        operator: A name of :class:`BuiltinOperator`.

    Example:
        >>> default_options("CONV_2D")["dilation_h_factor"]
        1
    """
    table = OPTIONS_OF.get(operator)
    fields = TABLES[table].fields if table else ()
    return {f.name: f.kind.default if isinstance(f.kind, Scalar) else None for f in fields}


def operator_name(codes: Sequence[Record], index: int, record: Record) -> str:
    """Return the LiteRT name of an operator, or the quoted name of a custom one.

    Args:
        codes: The file's OperatorCode tables.
        index: Of the operator, for messages.
        record: The Operator table.

    Raises:
        ModelFileError: There is no such code.
    """
    position = record["opcode_index"]
    if position >= len(codes):
        raise ModelFileError(
            f"is of kind {position} of {len(codes)}",
            where=f"operator {index}",
            hint="the file is damaged",
        )
    code = codes[position]
    # Files from before there were 127 operators have the old field alone.
    number = max(int(code["builtin_code"]), code["deprecated_builtin_code"])
    if number == BuiltinOperator.CUSTOM:
        return f"CUSTOM {_printable(code['custom_code'] or '')!r}"
    try:
        return BuiltinOperator(number).name
    except ValueError:
        return f"number {number}"


def _printable(name: str) -> str:
    """Return the start of a name on one line."""
    return (name if name.isprintable() else name.encode("unicode_escape").decode("ascii"))[:80]
