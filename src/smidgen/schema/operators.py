"""Which options table goes with which builtin operator."""

from __future__ import annotations

from smidgen.schema.enums import BuiltinOperator
from smidgen.schema.fields import Record, Scalar
from smidgen.schema.tables import TABLES

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
