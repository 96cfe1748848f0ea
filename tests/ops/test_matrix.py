"""Every operator on every runtime: compiled C, TensorFlow Lite Micro, LiteRT's reference kernels.

An operator needs nothing here: its `samples()` buys it the whole row. What a runtime computes is
compared with the operator's own reference as the cell says; `EXCEPTIONS` lists the cells in which
two of them do not agree to the bit, and why.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from smidgen.backends.tflite.writer import write
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.ops import Sample, Unsupported, _draw, all_ops, get_op
from tests.graphs import difference
from tests.host_batch import HostBatch
from tests.oracles import run_builtin_ref, run_tflm

Array = np.ndarray[Any, Any]

BATCH = 16  # samples that are compiled together
BATCHES = 3
ROWS = 3  # inputs of each graph, run at once wherever the operator allows it


# -- the cells -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """How an operator on a runtime compares with its reference.

    Args:
        lsb: how far integers may be off; 0 means exact.
        close: how far floats may be off, as a part of the largest output.
        rounding: what the runtime requantizes with.
        unsupported: why it cannot be compared on a sample, or None; by default on any.
    """

    lsb: int = 0
    close: float = 2e-5
    rounding: str = "double"
    unsupported: Callable[[Sample], str | None] = lambda sample: None


EXACT = Cell()  # floats: sums in another order, another exp


def exact_below(scale: float, why: str) -> Cell:
    def unsupported(sample: Sample) -> str | None:
        x = sample.operands[0]
        assert x is not None
        return why if x.type.quant is not None and x.type.quant.scale >= scale else None

    return Cell(unsupported=unsupported)


RADIUS = "LiteRT is wrong just inside the radius beyond which the result is constant"

EXCEPTIONS = {
    ("FULLY_CONNECTED", "BUILTIN_REF"): Cell(rounding="single"),
    ("LOGISTIC", "BUILTIN_REF"): exact_below(2, RADIUS),
    ("TANH", "BUILTIN_REF"): exact_below(8, RADIUS),
}


def compiled(graphs: Sequence[Graph], inputs: Sequence[list[Array]]) -> list[list[Array]]:
    batch = HostBatch(graphs)
    return [batch.run(i, arrays) for i, arrays in enumerate(inputs)]


def on_files(
    run: Callable[[bytes, list[Array]], list[Array]],
) -> Callable[[Sequence[Graph], Sequence[list[Array]]], list[list[Array]]]:
    return lambda graphs, inputs: [
        run(write(graph), arrays) for graph, arrays in zip(graphs, inputs, strict=True)
    ]


RUNTIMES = {
    "host C": compiled,
    "TFLM": on_files(run_tflm),
    "BUILTIN_REF": on_files(run_builtin_ref),
}
CONCERN = {"host C": "kernels", "TFLM": "tflite_write", "BUILTIN_REF": "tflite_write"}


def has(name: str, concern: str) -> bool:
    return not isinstance(getattr(get_op(name), concern), Unsupported)


def cells() -> list[Any]:
    marks = {"host C": pytest.mark.toolchain}
    return [
        pytest.param(name, runtime, marks=marks.get(runtime, pytest.mark.oracle))
        for name in all_ops()
        for runtime in RUNTIMES
        if has(name, CONCERN[runtime])
    ]


# -- the samples ---------------------------------------------------------------------------------


def usable(sample: Sample) -> bool:
    """Whether a graph can be made of it: inputs have a batch of 1."""
    inputs = [o.type for o in sample.operands if o is not None and o.data is None]
    return bool(inputs) and all(t.rank and t.shape[0] == 1 for t in inputs)


def each_batch(name: str, check: Callable[[list[Sample], list[list[Array]]], None]) -> None:
    """Calls `check(samples, inputs)` on batches of samples; the same ones in every run."""

    @seed(zlib.crc32(name.encode()))
    @settings(
        max_examples=BATCHES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # the message says more than a smaller example would
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(get_op(name).samples().filter(usable), min_size=BATCH, max_size=BATCH),
        st.integers(0, 2**32 - 1),
    )
    def run(samples: list[Sample], number: int) -> None:
        generator = np.random.default_rng(number)
        check(samples, [draw_inputs(sample, generator) for sample in samples])

    run()


def draw_inputs(sample: Sample, generator: np.random.Generator) -> list[Array]:
    types = [o.type for o in sample.operands if o is not None and o.data is None]
    return [np.concatenate([_draw.values(generator, t) for _ in range(ROWS)]) for t in types]


def assert_same(got: Array, want: Array, cell: Cell, what: object) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    off = np.abs(got.astype(np.float64) - want.astype(np.float64))
    limit = float(cell.lsb)
    if want.dtype.kind == "f":
        limit = cell.close * max(1.0, float(np.abs(want).max(initial=0)))
    wrong = ~(off <= limit)
    assert not wrong.any(), (
        f"{wrong.sum()} of {wrong.size} elements are off by up to {np.nanmax(off)}: "
        f"{got[wrong][:5]} for {want[wrong][:5]} in\n{what}"
    )


# -- the tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "runtime"), cells())
def test_a_runtime_agrees_with_the_reference(name: str, runtime: str) -> None:
    cell = EXCEPTIONS.get((name, runtime), EXACT)

    def check(samples: list[Sample], inputs: list[list[Array]]) -> None:
        kept = [i for i, sample in enumerate(samples) if cell.unsupported(sample) is None]
        graphs = [samples[i].graph() for i in kept]
        results = RUNTIMES[runtime](graphs, [inputs[i] for i in kept])
        for i, graph, got in zip(kept, graphs, results, strict=True):
            want = interpret(graph, inputs[i], rounding=cell.rounding)
            for g, w in zip(got, want, strict=True):
                assert_same(g, w, cell, graph)

    each_batch(name, check)


@pytest.mark.parametrize(("name", "runtime"), list(EXCEPTIONS))
def test_an_exception_is_one(name: str, runtime: str) -> None:
    """A cell that has become exact must lose its entry."""
    found = False

    def check(samples: list[Sample], inputs: list[list[Array]]) -> None:
        nonlocal found
        graphs = [sample.graph() for sample in samples]
        results = RUNTIMES[runtime](graphs, inputs)
        for arrays, graph, got in zip(inputs, graphs, results, strict=True):
            want = interpret(graph, arrays)
            found |= any((g != w).any() for g, w in zip(got, want, strict=True))

    each_batch(name, check)
    assert found


@pytest.mark.parametrize("name", [n for n in all_ops() if has(n, "tflite_write")])
def test_a_file_brings_the_operator_back(name: str) -> None:
    def check(samples: list[Sample], inputs: list[list[Array]]) -> None:
        for sample in samples:
            graph = sample.graph()
            assert difference(graph, read(write(graph))) == "", graph

    each_batch(name, check)


@pytest.mark.parametrize("name", list(all_ops()))
def test_samples_one_by_one_are_the_batch(name: str) -> None:
    def check(samples: list[Sample], inputs: list[list[Array]]) -> None:
        for sample, arrays in zip(samples, inputs, strict=True):
            graph = sample.graph()
            batch = interpret(graph, arrays)
            rows = [interpret(graph, [a[i : i + 1] for a in arrays]) for i in range(ROWS)]
            for got, *alone in zip(batch, *rows, strict=True):
                assert_same(got, np.concatenate(alone), EXACT, graph)

    each_batch(name, check)
