"""Every operator on every runtime: compiled C, TensorFlow Lite Micro, LiteRT's reference kernels.

An operator needs nothing here: its `samples()` buys it the whole row. What a runtime computes is
compared with the operator's own reference as the cell says; `EXCEPTIONS` lists the cells in which
two of them do not agree to the bit, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.tflite.writer import write
from smidgen.errors import RuntimeCrashedError, RuntimeRefusedError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.ops import Sample, Unsupported, _draw, all_ops, get_op
from smidgen.verify.runtimes import RuntimeName, RuntimePool
from tests.examples import examples
from tests.graphs import difference
from tests.host_batch import HostBatch

Array = np.ndarray[Any, Any]
Inputs = Sequence[list[Array]]
Outputs = Mapping[int, list[Array]]  # by the number of the graph; not every graph need have some
Run = Callable[[RuntimePool, Sequence[Graph], Inputs], Outputs]

EXAMPLES = 48  # samples of each operator
ROWS = 3  # inputs of each sample, run at once wherever the operator allows it


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


def no_int4_channels(sample: Sample) -> str | None:
    w = sample.operands[1]
    assert w is not None
    per_channel = w.type.quant is not None and w.type.quant.axis is not None
    return CHANNELS if w.type.dtype == "int4" and per_channel else None


def conversion(sample: Sample) -> tuple[str, str]:
    x = sample.operands[0]
    assert x is not None
    return x.type.dtype, getattr(sample.op, "dtype", "")


def pads_integers(sample: Sample) -> str | None:
    x = sample.operands[0]
    assert x is not None
    return BORDER if x.type.quant is not None and x.type.quant.zero_point else None


BORDER = "TFLM pads with 0 whatever the zero point is"


def wide_indices(sample: Sample) -> str | None:
    return INT64 if getattr(sample.op, "output_type", "") == "INT64" else None


INT64 = "TFLM has int32 indices"
UINT8 = "TFLM makes uint8 of int8 alone"
UINT8_OF = {(dtype, "uint8") for dtype in ("float32", "uint8")}
CASTS = "TFLM does not cast to int64, bool and uint8"
INT32 = "LiteRT makes no int32"
CHANNELS = "TFLM refuses int4 weights of FULLY_CONNECTED with a scale for each channel"
RADIUS = "LiteRT is wrong just inside the radius beyond which the result is constant"

NARROW = "LiteRT takes an 8-bit state of SVDF for a 16-bit one"


def is_narrow(sample: Sample) -> bool:
    return any(o is not None and o.type.dtype == "int8" for o in sample.operands[4:])


EXCEPTIONS = {
    ("FULLY_CONNECTED", "TFLM"): Cell(unsupported=no_int4_channels),
    ("FULLY_CONNECTED", "BUILTIN_REF"): Cell(rounding="single"),
    ("CAST", "TFLM"): Cell(
        unsupported=lambda s: CASTS if conversion(s)[1] in ("int64", "bool", "uint8") else None
    ),
    ("DIV", "BUILTIN_REF"): Cell(lsb=1),  # it divides the scales in float32
    ("QUANTIZE", "TFLM"): Cell(unsupported=lambda s: UINT8 if conversion(s) in UINT8_OF else None),
    ("QUANTIZE", "BUILTIN_REF"): Cell(
        unsupported=lambda s: INT32 if conversion(s)[1] == "int32" else None
    ),
    ("ARG_MAX", "TFLM"): Cell(unsupported=wide_indices),
    ("ARG_MIN", "TFLM"): Cell(unsupported=wide_indices),
    ("SPACE_TO_BATCH_ND", "TFLM"): Cell(unsupported=pads_integers),
    ("LOGISTIC", "BUILTIN_REF"): exact_below(2, RADIUS),
    # LiteRT squashes by polynomials where TFLM has a table.
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "BUILTIN_REF"): Cell(lsb=2),
    ("SVDF", "BUILTIN_REF"): Cell(unsupported=lambda s: NARROW if is_narrow(s) else None),
    ("TANH", "BUILTIN_REF"): exact_below(8, RADIUS),
}

# What a runtime has but computes wrongly.
ABSENT = {
    ("SUM", "BUILTIN_REF"): "LiteRT's int8 kernel is wrong",
}


def compiled(features: Sequence[str] = ()) -> Run:
    """The generated C with the kernels of a core that has `features`, where those are others."""

    def symbols(graph: Graph, features: Sequence[str] = ()) -> list[str]:
        return [step.kernel.symbol for step in select_kernels(graph, features=features)]

    def run(pool: RuntimePool, graphs: Sequence[Graph], inputs: Inputs) -> Outputs:
        kept = [
            i for i, g in enumerate(graphs) if not features or symbols(g, features) != symbols(g)
        ]
        if not kept:
            return {}
        batch = HostBatch([graphs[i] for i in kept], features=features)
        return {i: batch.run(place, inputs[i]) for place, i in enumerate(kept)}

    return run


def foreign(runtime: RuntimeName) -> Run:
    """A runtime of others on the file."""

    def run(pool: RuntimePool, graphs: Sequence[Graph], inputs: Inputs) -> Outputs:
        return {
            i: pool.run(runtime, write(graph), inputs[i], stream=True).outputs
            for i, graph in enumerate(graphs)
        }

    return run


RUNTIMES = {
    "host C": compiled(),
    "host C with DSP": compiled(["dsp"]),
    "host C for the host": compiled(["host"]),
    "TFLM": foreign("tflm"),
    "BUILTIN_REF": foreign("litert_ref"),
}
FOREIGN: dict[str, RuntimeName] = {"TFLM": "tflm", "BUILTIN_REF": "litert_ref"}


def has(name: str, concern: str) -> bool:
    return not isinstance(getattr(get_op(name), concern), Unsupported)


def cells() -> list[Any]:
    return [
        pytest.param(name, runtime, marks=pytest.mark.toolchain if ours else pytest.mark.oracle)
        for name in all_ops()
        for runtime, ours in ((r, r.startswith("host C")) for r in RUNTIMES)
        if (has(name, "kernels") if ours else foreign_cell(name, runtime))
    ]


def foreign_cell(name: str, runtime: str) -> bool:
    compared = (name, runtime) not in ABSENT and has(name, "tflite_write")
    return compared and get_op(name).runs_on(FOREIGN[runtime])


def runs(sample: Sample, runtime: str) -> bool:
    """Whether the runtime has a kernel for a sample's element types, as the operator says."""
    types = [None if o is None else o.type for o in sample.operands]
    return runtime not in FOREIGN or sample.op.runs_on(FOREIGN[runtime], *types)


# -- the samples ---------------------------------------------------------------------------------


def usable(sample: Sample) -> bool:
    """Whether a graph can be made of it: inputs have a batch of 1."""
    inputs = [o.type for o in sample.operands if o is not None and o.data is None]
    return bool(inputs) and all(t.rank and t.shape[0] == 1 for t in inputs)


@cache
def samples(name: str) -> list[Sample]:
    return examples(get_op(name).samples().filter(usable), EXAMPLES, name)


def inputs_of(sample: Sample, *, remembers: bool = False) -> list[Array]:
    """Random and extreme inputs, ROWS of them; for `remembers` see `Sample.graph`."""
    generator = np.random.default_rng(ROWS)
    states = sample.op.states if remembers else {}
    operands = (o for i, o in enumerate(sample.operands) if i not in states)
    given = [o for o in operands if o is not None and o.data is None]
    return [
        np.concatenate([_draw.values(generator, o.type, o.limits) for _ in range(ROWS)])
        for o in given
    ]


def graphs_and_inputs(kept: list[Sample], runtime: str) -> tuple[list[Graph], list[list[Array]]]:
    """A file says what an operator remembers; our own C is asked for it at every step."""
    remembers = not runtime.startswith("host C")
    return (
        [s.graph(remembers=remembers) for s in kept],
        [inputs_of(s, remembers=remembers) for s in kept],
    )


def assert_same(got: Array, want: Array, cell: Cell, what: object) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    same = (got == want) | ((got != got) & (want != want))  # so is what is not a number
    with np.errstate(invalid="ignore"):  # infinite numbers
        off = np.abs(got.astype(np.float64) - want.astype(np.float64))
    limit = float(cell.lsb)
    if want.dtype.kind == "f":
        limit = cell.close * max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
    wrong = ~same & ~(off <= limit)
    assert not wrong.any(), (
        f"{wrong.sum()} of {wrong.size} elements are off by up to {np.nanmax(off)}: "
        f"{got[wrong][:5]} for {want[wrong][:5]} in\n{what}"
    )


# -- the tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "runtime"), cells())
def test_a_runtime_agrees_with_the_reference(name: str, runtime: str, pool: RuntimePool) -> None:
    cell = EXCEPTIONS.get((name, runtime), EXACT)
    kept = [s for s in samples(name) if cell.unsupported(s) is None and runs(s, runtime)]
    assert len(kept) >= EXAMPLES // 8
    graphs, inputs = graphs_and_inputs(kept, runtime)
    for i, outputs in RUNTIMES[runtime](pool, graphs, inputs).items():
        wanted = interpret(graphs[i], inputs[i], rounding=cell.rounding, stream=True)
        for got, want in zip(outputs, wanted, strict=True):
            assert_same(got, want, cell, graphs[i])


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "runtime"), [*EXCEPTIONS, *ABSENT])
def test_an_exception_is_one(name: str, runtime: str, pool: RuntimePool) -> None:
    """A cell that has become exact, or is there, must lose its entry."""
    graphs, inputs = graphs_and_inputs(samples(name), runtime)

    def differs(graph: Graph, given: list[Array]) -> bool:
        try:
            outputs = RUNTIMES[runtime](pool, [graph], [given])[0]
        except (RuntimeRefusedError, RuntimeCrashedError):
            return True
        return any(
            (got != want).any()
            for got, want in zip(outputs, interpret(graph, given, stream=True), strict=True)
        )

    assert any(map(differs, graphs, inputs))


@pytest.mark.parametrize("name", [n for n in all_ops() if has(n, "tflite_write")])
def test_a_file_brings_the_operator_back(name: str) -> None:
    for sample in samples(name):
        graph = sample.graph(remembers=True)
        assert difference(graph, read(write(graph))) == "", graph


@pytest.mark.parametrize("name", list(all_ops()))
def test_samples_one_by_one_are_the_batch(name: str) -> None:
    for sample in samples(name):
        graph, inputs = sample.graph(), inputs_of(sample)
        batch = interpret(graph, inputs)
        rows = [interpret(graph, [a[i : i + 1] for a in inputs]) for i in range(ROWS)]
        for got, *alone in zip(batch, *rows, strict=True):
            assert_same(got, np.concatenate(alone), EXACT, graph)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        (n, r)
        for n in all_ops()
        for r in FOREIGN
        # Of that one there are samples that no file can hold.
        if has(n, "tflite_write") and n != "UNIDIRECTIONAL_SEQUENCE_LSTM"
    ],
)
def test_a_runtime_lacks_what_the_operator_says(name: str, runtime: str, pool: RuntimePool) -> None:
    """An element type that a runtime has learned must be compared."""
    lacking = {
        s.operands[0].type.dtype: s for s in samples(name) if s.operands[0] and not runs(s, runtime)
    }
    for sample in lacking.values():
        with pytest.raises(RuntimeRefusedError):
            pool.run(FOREIGN[runtime], write(sample.graph()), inputs_of(sample))
