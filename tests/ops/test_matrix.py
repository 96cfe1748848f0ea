"""Every operator on every runtime: reference, file, compiled C, TensorFlow Lite Micro.

An operator needs nothing here: its `samples()` buys it the whole row.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from smidgen.backends.c.host import HostModel
from smidgen.backends.tflite.writer import write
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.ops import Unsupported, _draw, all_ops, get_op

Array = np.ndarray[Any, Any]

EXAMPLES = 25
SAMPLES = 3  # inputs of each graph, batched wherever the operator allows it
FLOAT_TOLERANCE = 2e-5  # relative to the largest output

FILE_OPS = [n for n, op in all_ops().items() if not isinstance(op.tflite_write, Unsupported)]
C_OPS = [n for n, op in all_ops().items() if not isinstance(op.kernels, Unsupported)]


def each_sample(name: str, check: Any) -> None:
    """Calls `check(graph, inputs)` on graphs of one node; the same ones in every run."""

    @seed(zlib.crc32(name.encode()))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(get_op(name).samples(), st.integers(0, 2**32 - 1))
    def run(sample: Any, number: int) -> None:
        graph = sample.graph()
        types = graph.input_types
        assume(all(t.rank and t.shape[0] == 1 for t in types))
        generator = np.random.default_rng(number)
        check(graph, [draw(generator, t) for t in types])

    run()


def draw(generator: np.random.Generator, type: Any) -> Array:
    return np.concatenate([_draw.values(generator, type) for _ in range(SAMPLES)])


def assert_same(got: Array, want: Array) -> None:
    """Integers are equal to the bit, floats nearly."""
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if want.dtype.kind == "f":
        limit = FLOAT_TOLERANCE * max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=0, atol=limit)
    else:
        np.testing.assert_array_equal(got, want)


def run_tflm(model: bytes, inputs: list[Array], outputs: int) -> list[Array]:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=4 << 20)
    rows: list[list[Array]] = [[] for _ in range(outputs)]
    for i in range(len(inputs[0])):
        for k, array in enumerate(inputs):
            interpreter.set_input(array[i : i + 1], k)
        interpreter.invoke()
        for k, row in enumerate(rows):
            row.append(interpreter.get_output(k).copy())
    return [np.concatenate(row) for row in rows]


@pytest.mark.oracle
@pytest.mark.parametrize("name", FILE_OPS)
def test_reference_is_tflm(name: str) -> None:
    def check(graph: Graph, inputs: list[Array]) -> None:
        got = interpret(graph, inputs)
        for g, w in zip(got, run_tflm(write(graph), inputs, len(got)), strict=True):
            assert_same(g, w)

    each_sample(name, check)


@pytest.mark.toolchain
@pytest.mark.parametrize("name", C_OPS)
def test_compiled_c_is_the_reference(name: str) -> None:
    def check(graph: Graph, inputs: list[Array]) -> None:
        want = interpret(graph, inputs)
        got = HostModel(graph, flags=["-O1"]).run(inputs, threads=1)
        for g, w in zip(got, want, strict=True):
            assert_same(g, w)

    each_sample(name, check)


@pytest.mark.parametrize("name", FILE_OPS)
def test_a_file_brings_the_operator_back(name: str) -> None:
    def check(graph: Graph, inputs: list[Array]) -> None:
        again = read(write(graph))  # attributes that mean the same may be spelled another way
        assert write(read(write(again))) == write(again)
        for g, w in zip(interpret(again, inputs), interpret(graph, inputs), strict=True):
            np.testing.assert_array_equal(g, w)

    each_sample(name, check)


@pytest.mark.parametrize("name", list(all_ops()))
def test_samples_one_by_one_are_the_batch(name: str) -> None:
    def check(graph: Graph, inputs: list[Array]) -> None:
        batch = interpret(graph, inputs)
        for i in range(SAMPLES):
            alone = interpret(graph, [a[i : i + 1] for a in inputs])
            for b, a in zip(batch, alone, strict=True):
                rows = len(a)
                assert_same(b[i * rows : (i + 1) * rows], a)

    each_sample(name, check)
