"""States in compiled C: where they lie, what is copied, and that every step is the reference's."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.arena import plan_arena, with_states
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.c.validate_plan import validate_plan
from smidgen.backends.tflite.writer import write
from smidgen.data import encode
from smidgen.errors import PlanError, RuntimeRefusedError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import Session, interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.targets.toolchain import find_host_compiler
from smidgen.transforms.rewrites import shrink, simplify
from smidgen.verify import difference
from smidgen.verify.runtimes import RuntimePool
from tests.examples import examples
from tests.host_batch import HostBatch
from tests.random_graphs import graphs
from tests.streaming import frames, remembering, ring

Array = np.ndarray[Any, Any]
PAIR = TensorType((1, 2), "float32")
GRAPHS = {"int8": 24, "float32": 10}
STEPS = 6


def delays(*, swapped: bool = False) -> Graph:
    """x of one and of two steps before; the second is an output as it is."""
    b = GraphBuilder("delays")
    x = b.input("x", PAIR)
    first, second = b.state("first", PAIR), b.state("second", PAIR, np.full((1, 2), 7, np.float32))
    b.becomes(first, second if swapped else x)
    b.becomes(second, first)
    return b.build([b.add(get_op("ADD")(), [x, second]), second])


@cache
def random(dtype: str) -> list[Graph]:
    found = examples(graphs(3, 10, dtype), GRAPHS[dtype], f"states {dtype}")
    made = [remembering(graph, seed) for seed, graph in enumerate(found)]
    return [graph for graph in made if graph.states and _is_bounded(graph)]


def _is_bounded(graph: Graph) -> bool:
    """Whether what is fed back does not grow beyond all numbers."""
    with np.errstate(all="raise"):
        try:
            interpret(graph, random_inputs(graph, STEPS), stream=True)
        except (FloatingPointError, RuntimeWarning):
            return False
    return True


def assert_same(got: list[Array], want: list[Array], graph: Graph) -> None:
    for one, other in zip(got, want, strict=True):
        size, within = difference(other, one)
        assert within, f"off by {size} in\n{graph}"


@pytest.mark.toolchain
@pytest.mark.parametrize("dtype", list(GRAPHS))
def test_random_graphs_remember_alike_in_c(dtype: str) -> None:
    some = [*random(dtype), *([ring(), delays()] if dtype == "float32" else [])]
    batch = HostBatch(some, features=["dsp"])
    copied = 0
    for i, graph in enumerate(some):
        inputs = random_inputs(graph, STEPS)
        for stream in (True, False):
            want = interpret(graph, inputs, stream=stream)
            assert_same(batch.run(i, inputs, stream=stream), want, graph)
        copied += len(batch.arenas[i].states.copies)
    assert copied


@pytest.mark.oracle
def test_random_graphs_remember_alike_in_tflm_and_after_rewriting(pool: RuntimePool) -> None:
    compared = 0
    for graph in random("int8"):
        inputs = random_inputs(graph, STEPS)
        want = interpret(graph, inputs, stream=True)
        try:
            file = write(graph)
        except UnsupportedModelError:  # some attribute has no form in .tflite
            continue
        try:
            outputs = pool.run("tflm", file, inputs, stream=True).outputs
        except RuntimeRefusedError:  # some operator is not in TFLM
            continue
        compared += 1
        assert_same(outputs, want, graph)
        small, _ = shrink(graph)
        assert_same(interpret(small, inputs, stream=True), want, graph)
        assert_same(interpret(read(file), inputs, stream=True), want, graph)
    assert compared > GRAPHS["int8"] // 3
    for graph in random("float32"):
        inputs = random_inputs(graph, STEPS)
        want = interpret(graph, inputs, stream=True)
        assert_same(interpret(simplify(graph), inputs, stream=True), want, graph)


def test_a_new_value_is_written_over_an_old_one_that_nobody_reads_any_more() -> None:
    graph = ring()
    arena = plan_arena(graph, select_kernels(graph))
    (state,) = graph.states
    assert arena.is_held(state.input)
    assert arena.is_held(state.output)
    assert not arena.states.copies
    assert arena.states.bytes == graph.state_bytes == 72


def test_copies_are_made_before_what_they_read_is_overwritten() -> None:
    graph = delays()
    arena = plan_arena(graph, select_kernels(graph))
    assert [s.name for s in arena.states.copies] == ["second", "first"]
    assert arena.states.outputs == (graph.outputs[1],)
    with pytest.raises(UnsupportedModelError, match="'first', 'second' become each other"):
        plan_arena(swap := delays(swapped=True), select_kernels(swap))


def test_the_judge_finds_a_state_that_is_overwritten_too_early() -> None:
    graph = delays()
    arena = plan_arena(graph, select_kernels(graph))
    wrong = replace(arena, states=replace(arena.states, copies=arena.states.copies[::-1]))
    with pytest.raises(PlanError, match="live"):
        validate_plan(*with_states(graph, wrong))
    together = replace(arena, states=replace(arena.states, offsets={"first": 0, "second": 4}))
    with pytest.raises(PlanError, match="live"):
        validate_plan(*with_states(graph, together))


@pytest.mark.emulator
@pytest.mark.parametrize("on", ["unicorn", "qemu", "host"])
def test_firmware_keeps_states_from_step_to_step(on: str) -> None:
    x = frames(8)
    graph = smidgen.quantize(ring(), frames(64), stream=True)
    inputs = encode(graph.input_types[0], x)
    firmware = smidgen.compile(graph, "nucleo-l4r5zi")
    for stream in (True, False):
        run = firmware.run(inputs, on, stream=stream)
        assert_same(run.outputs, interpret(graph, inputs, stream=stream), graph)
    assert firmware.state_bytes == 20
    if on == "unicorn":
        assert firmware.footprint.static_ram_bytes >= firmware.arena_bytes + 20
        seen: dict[str, Array] = {}
        interpret(graph, inputs, stream=True, observe=seen.__setitem__)
        for step in firmware.profile([inputs], stream=True):
            assert (step.tensor == seen[step.value][-1:]).all()


@pytest.mark.toolchain
def test_the_example_of_a_project_compiles_and_says_what_is_remembered(tmp_path: Path) -> None:
    firmware = smidgen.compile(ring(), out=tmp_path / "ring", name="kws")
    header = (tmp_path / "ring" / "kws.h").read_text()
    assert " *   at      0: 'past', float32 (1, 3, 6)\n" in header
    assert "#define KWS_STATE_BYTES 72" in header
    assert "void kws_reset(void *state);" in header
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic"]
    sources = [str(tmp_path / "ring" / name) for name in ("kws.c", "main.c")]
    program = str(tmp_path / "example")
    subprocess.run([*find_host_compiler(), *flags, *sources, "-lm", "-o", program], check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    (want,) = interpret(ring(), np.zeros((1, 1, 6), np.float32))
    for line, score in zip(printed.splitlines(), want[0], strict=True):
        assert float(line.split()[1]) == pytest.approx(float(score), rel=1e-4)
    assert firmware.state_bytes == 72


# -- several functions ---------------------------------------------------------------------------


def listen_and_set() -> list[Graph]:
    """`listen` is the ring; `set` gives its state another value; `twice` knows no state."""
    listen = replace(smidgen.quantize(ring(), frames(64), stream=True), signature="listen")
    (state,) = listen.states
    type = listen.type(state.input)
    b = GraphBuilder("ring")
    value = b.input("value", type)
    past = b.state(state.name, type, state.initial, shared=True)
    b.becomes(past, value)
    set_it = replace(b.build([past]), signature="set")
    b = GraphBuilder("ring")
    left, right = b.input("left", listen.input_types[0]), b.input("right", listen.input_types[0])
    w, bias = (listen.values[n] for n in ("w", "bias"))
    assert w.data is not None and bias.data is not None
    both = b.add(get_op("ADD")(), [left, right], quant=listen.input_types[0].quant)
    flat = b.add(get_op("RESHAPE")(new_shape=(1, 6)), [both], quant=listen.input_types[0].quant)
    some = b.constant(w.data[:, :6], quant=w.type.quant)
    operands = [flat, some, b.constant(bias.data, quant=bias.type.quant)]
    scores = b.add(get_op("FULLY_CONNECTED")(), operands, quant=listen.output_types[0].quant)
    twice = replace(b.build([both, scores]), signature="twice")
    return [listen, set_it, twice]


@pytest.mark.emulator
@pytest.mark.parametrize("on", ["host", "unicorn"])
def test_several_functions_share_a_state(on: str, tmp_path: Path) -> None:
    listen, set_it, twice = graphs_ = listen_and_set()
    firmware = smidgen.compile(graphs_, "nucleo-l4r5zi", tmp_path / "kws", name="kws")
    x = random_inputs(listen, 5)[0]
    value = random_inputs(set_it, 1, seed=4)[0]
    before = firmware.run(x, on, stream=True)
    given = firmware.run(value, on, function="set", state=before.state)
    after = firmware.run(x, on, function="listen", state=given.state)
    session = Session(listen)
    assert_same(before.outputs, session.run(x), listen)
    assert_same(given.outputs, [session.states["past"]], set_it)
    session.states["past"] = value
    assert_same(after.outputs, session.run(x), listen)
    inputs = random_inputs(twice, 3)
    assert_same(firmware.run(inputs, on, function="twice").outputs, interpret(twice, inputs), twice)
    assert (firmware.state_bytes, len(firmware.functions)) == (20, 3)
    if on == "unicorn":
        alone = smidgen.compile(listen, "nucleo-l4r5zi")
        assert alone.flash_bytes < firmware.flash_bytes
        assert firmware.ram_bytes >= firmware.arena_bytes + 20
        layers = firmware.profile(inputs, function="twice")
        assert [layer.value for layer in layers] == ["add", "fully_connected"]
    header = (tmp_path / "kws" / "kws.h").read_text()
    for line in (
        "int kws_listen_invoke(void *arena, void *state);",
        "int kws_set_invoke(void *arena, void *state);",
        "int kws_twice_invoke(void *arena);",
        "#define kws_twice_input_left kws_twice_input0",
        "static inline const int8_t *kws_twice_output1(const void *arena) {",
        "void kws_reset(void *state);",
    ):
        assert line in header
    assert header.count("_STATE_BYTES 20") == 1
    with pytest.raises(smidgen.SmidgenError, match="no function 'sing'"):
        firmware.run(x, on, function="sing")


def test_functions_that_cannot_be_told_apart_are_refused() -> None:
    listen, set_it, _ = listen_and_set()
    with pytest.raises(smidgen.SmidgenError, match="cannot be told apart"):
        smidgen.compile([listen, replace(set_it, signature="listen")])
    other = replace(set_it.states[0], initial=set_it.states[0].initial + 1)
    with pytest.raises(UnsupportedModelError, match="different states 'past'"):
        smidgen.compile([listen, replace(set_it, states=(other,))])
