"""Chains of layers that run by rows: the order, the loops, the memory, and every byte of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smidgen import compile, load, shrink
from smidgen.backends.c._loops import Loop, fold
from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.choose_streams import choices, choose_streams
from smidgen.backends.c.host import QUICK, HostModel
from smidgen.backends.c.select_kernels import Step, select_kernels
from smidgen.backends.c.stream import Band, Call, Stream, by_rows, stream
from smidgen.errors import UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import all_ops, get_op
from tests.backends.c.replay import Planned, Replay, ReplayError
from tests.examples import examples
from tests.random_graphs import graphs

FEATURES = ((), ("dsp",))


def network(height: int = 17, *, strides: Sequence[int] = (1, 1, 2)) -> Graph:
    """Convolutions with a residual sum over the second, and a pool over four rows at the end."""
    rng = np.random.default_rng(0)
    quant = QuantParams.per_tensor(0.05, 3)
    b = GraphBuilder("rows")
    x = b.input("x", TensorType((1, height, 7, 5), "int8", quant))
    for i, stride in enumerate(strides):
        data = rng.integers(-127, 128, (5, 3, 3, 5)).astype(np.int8)
        w = b.constant(data, quant=QuantParams.per_tensor(0.005, 0))
        y = b.add(get_op("CONV_2D")(stride, stride, "SAME", "RELU"), [x, w, None], quant=quant)
        x = b.add(get_op("ADD")(), [x, y], quant=quant) if i == 1 else y
    pool = get_op("MAX_POOL_2D")(2, 2, 4, 2, "VALID")
    return b.build([b.add(pool, [x], quant=quant)])


def whole(graph: Graph, rows: int, features: Sequence[str] = ()) -> Stream:
    made = stream(graph, select_kernels(graph, features=features), rows)
    assert made is not None
    return made


# -- the order -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 50])
def test_every_row_is_computed_once_and_in_order(rows: int) -> None:
    made = whole(network(), rows)
    for number, step in enumerate(made.steps):
        at = 0
        for band in (b for b in made.bands if b.step == number):
            assert band.first == at
            at += band.shape.rows_out
        assert at == step.site.output.shape[1]


def test_windows_hold_what_is_needed_and_no_more() -> None:
    # Rows of 35 bytes; a window begins at a multiple of 4. The input is whole, and so the sum's
    # other operand keeps what two convolutions later still need.
    made = whole(network(), 1)
    rows = [
        b - a
        for a, b in zip(
            made.windows.values(),
            [*list(made.windows.values())[1:], made.kernel_scratch],
            strict=True,
        )
    ]
    aligned = [-(-35 * n // 4) * 4 for n in (3, 1, 3)]
    assert rows == [*aligned, -(-20 * 4 // 4) * 4]


def test_rows_move_only_when_a_window_is_full() -> None:
    made = whole(network(strides=(1, 1)), 1)
    first = [band for band in made.bands if band.step == 0]
    assert [band.move is None for band in first[:4]] == [True, True, True, False]
    assert made.moved_bytes == sum(band.move.bytes for band in made.bands if band.move)


def unfolded(items: Sequence[Band | Loop]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for item in items:
        if isinstance(item, Band):
            found.append((item.step, item.shape, item.operands, item.output, item.move))
            continue
        for turn in range(item.count):
            for band, strides in zip(item.bands, item.strides, strict=True):
                moved = zip(band.operands, strides[:-1], strict=True)
                operands = tuple((i, at + turn * by) for (i, at), by in moved)
                output = band.output + turn * strides[-1]
                found.append((band.step, band.shape, operands, output, band.move))
    return found


@pytest.mark.parametrize("height", [9, 16, 33, 60])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_loops_are_the_same_calls(height: int, rows: int) -> None:
    made = whole(network(height), rows)
    folded = fold(made.bands)
    assert unfolded(folded) == unfolded(made.bands)
    calls = sum(len(item.bands) if isinstance(item, Loop) else 1 for item in folded)
    assert calls <= 75  # however many rows there are


def test_only_what_depends_on_a_few_rows_runs_by_rows() -> None:
    b = GraphBuilder()
    quant = QuantParams.per_tensor(0.05, 3)
    x = b.input("x", TensorType((1, 6, 4, 2), "int8", quant))
    row = b.input("row", TensorType((1, 1, 4, 2), "int8", quant))
    y = b.add(get_op("ADD")(), [x, row], quant=quant)  # the one row would run out
    z = b.add(get_op("CONCATENATION")(1), [y, x], quant=quant)
    p = b.add(get_op("MEAN")((1, 2)), [z], quant=quant)
    graph = b.build([p])
    assert [by_rows(step) for step in select_kernels(graph)] == [None, None, None]


# -- every byte ----------------------------------------------------------------------------------


def longest(graph: Graph, steps: Sequence[Step], chance: random.Random) -> list[Call]:
    """All chains of a graph as streams, of one layer too, with any number of rows."""
    calls: list[Call] = []
    at = 0
    while at < len(steps):
        end = at
        while end < len(steps) and by_rows(steps[end]):
            end += 1
        made = None
        while end > at and made is None:
            if closed(graph, steps, at, end):
                made = stream(graph, steps[at:end], chance.randint(1, 3))
            end -= made is None
        calls.append(made or steps[at])
        at = end if made else at + 1
    return calls


def closed(graph: Graph, steps: Sequence[Step], first: int, end: int) -> bool:
    inner = {step.outputs[0] for step in steps[first : end - 1]}
    outside = {name for step in (*steps[:first], *steps[end:]) for name in step.inputs}
    return not inner & {*outside, *graph.outputs}


@pytest.mark.toolchain
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_random_graphs(dtype: str) -> None:
    chance, planned, found = random.Random(0), [], 0
    for graph in examples(graphs(8, 16, dtype), 20 if dtype == "int8" else 12, f"streams {dtype}"):
        for features in FEATURES:
            calls = longest(graph, select_kernels(graph, features=features), chance)
            found += sum(isinstance(c, Stream) and len(c.steps) > 1 for c in calls)
            planned.append(Planned(graph, plan_arena(graph, calls)))
    assert found > len(planned) / 3
    replay = Replay(planned)
    for i in range(len(planned)):
        replay.check(i, seed=i)


@pytest.mark.toolchain
@pytest.mark.parametrize("features", FEATURES, ids=str)
def test_every_kernel_computes_by_rows(features: tuple[str, ...]) -> None:
    planned, symbols = [], set()
    for number, (name, op) in enumerate(all_ops().items()):
        for sample in examples(op.samples(), 8 if not features else 16, f"streams {name}"):
            graph = sample.graph()
            try:
                steps = select_kernels(graph, features=features)
            except UnsupportedModelError:
                continue
            new = not features or steps[0].kernel is not select_kernels(graph)[0].kernel
            made = stream(graph, steps, 1 + number % 3) if new else None
            if made is not None:
                planned.append(Planned(graph, plan_arena(graph, [made])))
                symbols.add(made.steps[0].kernel.symbol)
    replay = Replay(planned)
    for i in range(len(planned)):
        replay.check(i, seed=i)
    assert any("conv_2d" in s for s in symbols) and any("pool" in s for s in symbols)


@pytest.mark.toolchain
def test_a_wrong_stream_is_caught() -> None:
    graph = network()
    made = whole(graph, 1, ["dsp"])
    short = [
        band
        if band.move is None
        else replace(band, move=replace(band.move, bytes=band.move.bytes - 1))
        for band in made.bands
    ]
    early = [
        replace(band, operands=tuple((i, max(0, at - 1)) for i, at in band.operands))
        for band in made.bands
    ]
    names = list(made.windows)
    close = {**made.windows, names[1]: made.windows[names[1]] - 4}
    near = {name: lead - 40 for name, lead in made.leads.items()}
    mutants = [
        replace(made, bands=tuple(short)),
        replace(made, bands=tuple(early)),
        replace(made, windows=close),
        replace(made, scratch_bytes=made.scratch_bytes - 8),
        replace(made, leads=near) if min(near.values()) >= 0 else replace(made, bands=tuple(short)),
    ]
    replay = Replay([Planned(graph, plan_arena(graph, [call])) for call in (made, *mutants)])
    replay.check(0, seed=0)
    for i in range(1, len(replay.planned)):
        with pytest.raises(ReplayError):
            replay.check(i, seed=0)


@pytest.mark.toolchain
def test_traced_rows_make_whole_tensors() -> None:
    graph = network()
    x = np.random.default_rng(1).integers(-128, 128, (2, 17, 7, 5)).astype(np.int8)
    want: dict[str, np.ndarray] = {}
    interpret(graph, x[-1:], observe=want.__setitem__)
    arena = plan_arena(graph, [whole(graph, 2)])
    tensors = HostModel(graph, flags=QUICK, trace=True, arena=arena).run_traced(x)
    assert len(tensors) == 5
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, want[name])


# -- the choice ----------------------------------------------------------------------------------


def test_choices_need_less_and_less_and_cost_more_and_more() -> None:
    graph = network(60)
    found = list(choices(graph, select_kernels(graph)))
    assert len(found) > 1 and found[0].cost == 0
    for before, after in itertools.pairwise(found):
        assert after.need < before.need and after.cost >= before.cost
        assert [n for c in after.calls for s in c.steps for n in s.outputs] == [
            n for c in before.calls for s in c.steps for n in s.outputs
        ]


def test_memory_is_saved_only_as_far_as_asked() -> None:
    graph = network(60)
    steps = select_kernels(graph)
    plain = plan_arena(graph, steps).bytes
    assert choose_streams(graph, steps, free=0).bytes == plain
    assert choose_streams(graph, steps, ram=plain).bytes == plain
    least = choose_streams(graph, steps, ram=0).bytes
    assert least < 0.7 * plain
    assert choose_streams(graph, steps, ram=(plain + least) // 2).bytes <= (plain + least) // 2


# Bytes of the arena by default, of shrunk models; what they take if no layer runs by rows is
# 35,408, 39,904 and 9,456.
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("file", "most"),
    [("pretrainedResnet_quant", 19_600), ("vww_96_int8", 29_400), ("kws_ref_model_int8", 9_456)],
)
def test_real_models_are_small(file: str, most: int, shared: Path) -> None:
    graph, _ = shrink(load(shared / "models" / "mlperf_tiny" / f"{file}.tflite"))
    small = compile(graph)
    assert small.arena_bytes <= most
    replay = Replay([Planned(graph, small.arena)])
    replay.check(0, seed=0, rows=1)


@pytest.mark.e2e
@pytest.mark.emulator
def test_kernels_take_less_scratch_to_fit(shared: Path) -> None:
    graph = load(shared / "models" / "mlperf_tiny" / "kws_ref_model_int8.tflite")
    small = compile(graph, ram=9_200)
    assert small.ram_bytes <= 9_200
    assert any(step.site.lean for step in small.arena.steps)
    replay = Replay([Planned(graph, small.arena)])
    replay.check(0, seed=0)
    x = np.random.default_rng(1).integers(-128, 128, (1, *graph.input_types[0].shape[1:]))
    run = small.run(x.astype(np.int8))
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x.astype(np.int8))[0])


@pytest.mark.emulator
def test_a_budget_is_met_on_the_chip() -> None:
    graph = network(60)
    plain = compile(graph, optimize="speed")
    budget = plain.ram_bytes - 600
    small = compile(graph, optimize="speed", ram=budget)
    assert small.streams and not plain.streams
    assert small.ram_bytes <= budget
    x = np.random.default_rng(1).integers(-128, 128, (2, 60, 7, 5)).astype(np.int8)
    run = small.run(x, profile=True)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])
    want: dict[str, np.ndarray] = {}
    interpret(graph, x[-1:], observe=want.__setitem__)
    for step in run.steps:
        np.testing.assert_array_equal(step.tensor, want[step.value])
