"""The options table of each operator, as real files and the schema have it."""

from __future__ import annotations

from pathlib import Path

from smidgen.schema import TABLES, BuiltinOperator, decode
from smidgen.schema.operators import OPTIONS_OF, default_options


def test_every_operator_of_real_files_has_the_options_we_say(shared: Path) -> None:
    seen: set[str] = set()
    for path in sorted(shared.rglob("*.tflite")):
        model = decode(path.read_bytes())
        for subgraph in model["subgraphs"]:
            for operator in subgraph["operators"]:
                code = model["operator_codes"][operator["opcode_index"]]
                number = max(code["builtin_code"], code["deprecated_builtin_code"])
                name = BuiltinOperator(number).name
                if operator["builtin_options"] is not None:
                    assert operator["builtin_options"][0] == OPTIONS_OF[name]
                    seen.add(name)
    assert len(seen) >= 20


def test_every_options_table_belongs_to_an_operator() -> None:
    options = {name for name in TABLES if "Options" in name}
    assert options == set(OPTIONS_OF.values())
    assert OPTIONS_OF.keys() <= {operator.name for operator in BuiltinOperator}


def test_operators_that_share_a_table_or_have_none() -> None:
    assert OPTIONS_OF["MAX_POOL_2D"] == OPTIONS_OF["AVERAGE_POOL_2D"] == "Pool2DOptions"
    assert OPTIONS_OF["MEAN"] == "ReducerOptions"
    assert OPTIONS_OF["RESIZE_NEAREST_NEIGHBOR"] == "ResizeNearestNeighborOptions"
    assert {"LOGISTIC", "RELU", "TANH", "CUSTOM"}.isdisjoint(OPTIONS_OF)
    assert default_options("RELU") == {}
    assert default_options("ADD") == {"fused_activation_function": 0, "pot_scale_int16": True}
