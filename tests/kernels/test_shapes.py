"""Kernels of operators that move, choose and reduce, on the cores that they are for."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.interpreter import interpret
from smidgen.ir import GraphBuilder
from smidgen.ops import _draw, get_op
from tests.examples import examples

pytestmark = [pytest.mark.toolchain, pytest.mark.emulator]

Array = np.ndarray[Any, Any]
NAMES = (
    *("ARG_MAX", "ARG_MIN", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CUMSUM", "DEPTH_TO_SPACE"),
    *("DYNAMIC_UPDATE_SLICE", "EMBEDDING_LOOKUP", "GATHER", "GATHER_ND", "MIRROR_PAD", "PACK"),
    *("REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RESIZE_BILINEAR"),
    *("REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SUM"),
    *("TILE", "UNPACK"),
)
SAMPLES = 2  # of each operator
MOST = 1500  # bytes of all operands of one, so that all of them fit the smallest core together


@cache
def drawn(name: str) -> list[Any]:
    """Small samples that a graph can be made of."""
    found = []
    for sample in examples(get_op(name).samples(), 20, f"cores {name}"):
        given = [o for o in sample.operands if o is not None]
        inputs = [o.type for o in given if o.data is None]
        small = sum(o.type.bytes for o in given) < MOST
        if inputs and small and all(t.rank and t.shape[0] == 1 for t in inputs):
            found.append(sample)
    return found[:SAMPLES]


@pytest.mark.parametrize(
    ("board", "toolchain"), [("nucleo-l4r5zi", "gcc"), ("raspberry-pi-pico-2-riscv", "zig")]
)
def test_on_emulated_cores(board: str, toolchain: str) -> None:
    builder = GraphBuilder("shapes")
    rng = np.random.default_rng(5)
    outputs: list[str] = []
    x: list[Array] = []
    for name in NAMES:
        chosen = drawn(name)
        assert len(chosen) == SAMPLES, name
        for sample in chosen:
            operands: list[str | None] = []
            for o in sample.operands:
                if o.data is None:
                    operands.append(builder.input("x", o.type))
                    x.append(_draw.values(rng, o.type, o.limits))
                else:
                    operands.append(builder.constant(o.data, quant=o.type.quant))
            outputs += builder.add_multi(sample.op, operands, quant=sample.quant)
    graph = builder.build(outputs)
    run = smidgen.compile(graph, board, toolchain=toolchain).run(x)
    for out, got, want in zip(outputs, run.outputs, interpret(graph, x), strict=True):
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=out)
        else:
            np.testing.assert_array_equal(got, want, err_msg=out)
