"""Random graphs are the same to the byte in every engine, ours and TensorFlow Lite Micro's.

`--random-graphs N` says how many; a tenth of them runs on the emulated Cortex-M4 as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.compile import compile
from smidgen.backends.tflite.writer import write
from smidgen.interpreter import interpret
from smidgen.ir import Graph, TensorType
from smidgen.numerics.affine import dtype_range
from smidgen.ops import _draw
from smidgen.verify.runtimes import RuntimePool
from tests.examples import examples
from tests.host_batch import HostBatch
from tests.random_graphs import graphs, runtime_of, steps

Array = np.ndarray[Any, Any]

BATCH = 25  # graphs that are compiled together
ROWS = 3
CLOSE = 1e-3  # of the largest output: floats are summed in other orders, layer after layer
ON_M4 = 10  # one in so many

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.oracle]


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--random-graphs"))


@cache
def int8_graphs(count: int) -> list[Graph]:
    return examples(graphs(3, 12, "int8"), count, "int8")


def draw_inputs(graph: Graph, rows: int = ROWS) -> list[Array]:
    """Random inputs, and last of all the extremes."""
    generator = np.random.default_rng(len(graph.nodes))

    def column(type: TensorType) -> Array:
        drawn = [_draw.values(generator, type) for _ in range(rows)]
        extreme = (-1e3, 1e3) if type.dtype == "float32" else dtype_range(type.dtype)
        return np.concatenate([*drawn, *(np.full_like(drawn[0], e) for e in extreme)])

    return [column(type) for type in graph.input_types]


def difference(graph: Graph, got: Sequence[Array], want: Sequence[Array]) -> str:
    """Which outputs differ, floats by more than a little; "" if none does."""
    lines = []
    for name, g, w in zip(graph.outputs, got, want, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        limit = CLOSE * max(1.0, np.abs(w).max()) if not graph.is_quantized else 0
        wrong = ~(np.abs(g.astype(np.float64) - w) <= limit)
        if wrong.any():
            lines.append(
                f"{name}: {wrong.sum()} of {wrong.size}: {g[wrong][:5]} for {w[wrong][:5]}"
            )
    return "\n".join(lines)


def check(drawn: list[Graph], pool: RuntimePool) -> None:
    """Compare the reference with the compiled C and with the foreign runtime that takes it."""
    wrong = []
    for first in range(0, len(drawn), BATCH):
        some = drawn[first : first + BATCH]
        compiled = HostBatch(some)
        for place, graph in enumerate(some):
            inputs = draw_inputs(graph)
            want = interpret(graph, inputs)
            for engine, got in (
                ("host C", compiled.run(place, inputs)),
                (runtime_of(graph), pool.run(runtime_of(graph), write(graph), inputs).outputs),
            ):
                if text := difference(graph, got, want):
                    wrong.append(f"{engine}, graph {first + place}\n{graph}{text}")
    assert not wrong, f"{len(wrong)} differ, the smallest is\n" + min(wrong, key=len)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_int8_graphs_are_the_same_everywhere(count: int, pool: RuntimePool) -> None:
    check(int8_graphs(count), pool)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_int16_graphs_are_the_same_everywhere(count: int, pool: RuntimePool) -> None:
    """Activations of 16 bits, weights of 8."""
    check(examples(graphs(3, 12, "int16"), max(20, count // 5), "int16"), pool)


@pytest.mark.slow
def test_float_graphs_are_nearly_the_same_everywhere(count: int, pool: RuntimePool) -> None:
    check(examples(graphs(3, 12, "float32"), max(10, count // 5), "float32"), pool)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.timeout(1200)
def test_int8_graphs_are_the_same_on_a_cortex_m4(count: int) -> None:
    for number, graph in enumerate(int8_graphs(count)[::ON_M4]):
        inputs = [array[-2:] for array in draw_inputs(graph, rows=1)]
        got = compile(graph, "nucleo-l4r5zi").run(inputs, on="emulator").outputs
        text = difference(graph, got, interpret(graph, inputs))
        assert not text, f"graph {number * ON_M4}\n{graph}{text}"


def test_every_operator_that_grows_is_seen(count: int) -> None:
    """And they branch, join and end in several outputs."""
    drawn = int8_graphs(count)
    seen = Counter(node.op.name for graph in drawn for node in graph.nodes)
    # Which of the many are drawn is chance, but for a few all of them must be.
    assert len({*steps("int8"), "DEQUANTIZE"} - set(seen)) <= 4
    assert len({len(graph.nodes) for graph in drawn}) >= 7  # sizes; which ones is chance
    assert all(3 <= len(graph.nodes) <= 12 for graph in drawn)
    for least, some in (
        (0.3, [len(graph.outputs) > 1 for graph in drawn]),
        (0.05, [len(graph.inputs) > 1 for graph in drawn]),
        (0.3, [any(len(users) > 1 for users in g.consumers.values()) for g in drawn]),
    ):
        assert np.mean(some) >= least


def test_values_neither_saturate_nor_vanish(count: int) -> None:
    saturated, distinct = [], []

    def look(name: str, array: Array) -> None:
        if array.dtype == np.int8 and array.size > 20:
            saturated.append(np.mean((array == -128) | (array == 127)))
            distinct.append(len(np.unique(array)))

    for graph in int8_graphs(count)[:100]:
        interpret(graph, [a[:-2] for a in draw_inputs(graph)], observe=look)
    assert np.mean(saturated) < 0.4
    assert np.median(distinct) > 30
