"""Operators of files that become others when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.schema import BuiltinOperator, TensorType, encode
from smidgen.schema.tables import VERSION
from smidgen.verify.runtimes import RuntimePool

SHAPE = (1, 3, 4)


def single(
    operator: str, options: str, dtypes: list[str], shapes: list[Any] | None = None
) -> bytes:
    """A file of one operator whose last tensor is its result."""
    tensors = [
        {"shape": shape, "type": TensorType[dtype.upper()], "buffer": 0}
        for dtype, shape in zip(dtypes, shapes or [SHAPE] * len(dtypes), strict=True)
    ]
    code = int(BuiltinOperator[operator])
    inputs = list(range(len(dtypes) - 1))
    node = {
        "opcode_index": 0,
        "inputs": inputs,
        "outputs": [len(inputs)],
        "builtin_options": (options, {}),
    }
    subgraph = {"inputs": inputs, "outputs": [len(inputs)], "tensors": tensors, "operators": [node]}
    codes = [{"builtin_code": code, "deprecated_builtin_code": code, "version": 1}]
    return encode(
        {"version": VERSION, "operator_codes": codes, "subgraphs": [subgraph], "buffers": [{}]}
    )


def inputs(dtypes: list[str]) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [
        rng.random((5, *SHAPE[1:])) < 0.5
        if dtype == "bool"
        else rng.normal(0, 9, (5, *SHAPE[1:])).astype(dtype)
        for dtype in dtypes
    ]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("operator", "options", "dtypes", "made"),
    [
        ("ADD_N", "AddNOptions", ["float32"] * 5, ["ADD"] * 3),
        ("ADD_N", "AddNOptions", ["int32"] * 3, ["ADD"]),
        ("SELECT", "SelectOptions", ["bool", "float32", "float32", "float32"], ["SELECT_V2"]),
    ],
)
def test_a_file_means_the_same_in_other_operators(
    operator: str, options: str, dtypes: list[str], made: list[str]
) -> None:
    file, given = single(operator, options, dtypes), inputs(dtypes[:-1])
    graph = read(file)
    assert [node.op.name for node in graph.nodes] == made
    with RuntimePool() as pool:
        want = pool.run("litert_ref", file, given).outputs[0]
    np.testing.assert_allclose(interpret(graph, given)[0], want, rtol=1e-6)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (single("ADD_N", "AddNOptions", ["float32"] * 2), "fewer than two"),
        (single("ADD_N", "AddNOptions", ["int8"] * 3), "adds several int8"),
        (
            single(
                "SELECT", "SelectOptions", ["bool", *["float32"] * 3], [(1,), SHAPE, SHAPE, SHAPE]
            ),
            "whole rows",
        ),
    ],
)
def test_what_has_no_such_meaning_is_refused(file: bytes, why: str) -> None:
    with pytest.raises(UnsupportedModelError, match=why):
        read(file)
