"""States: what a graph remembers, in the IR, the interpreter, rewrites and quantization."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import smidgen
from smidgen.data import decode, encode
from smidgen.errors import DataError, GraphError
from smidgen.interpreter import Session, interpret, state_arrays
from smidgen.ir import (
    Graph,
    GraphBuilder,
    GraphEditor,
    QuantParams,
    TensorType,
    parse,
    to_text,
    verify,
)
from smidgen.ops import get_op
from smidgen.transforms.quantize import layer_errors, prepare
from smidgen.transforms.rewrites import shrink, simplify
from tests.graphs import difference
from tests.streaming import frames, ring, ring_by_hand

PAIR = TensorType((1, 2), "float32")


def counter(*, shared: bool = False) -> Graph:
    """Adds its input to a sum, and gives the input alone."""
    b = GraphBuilder("counter")
    x = b.input("x", PAIR)
    total = b.state("total", PAIR, np.ones((1, 2), np.float32), shared=shared)
    b.becomes(total, b.add(get_op("ADD")(), [x, total], name="sum"))
    return b.build([b.add(get_op("RELU")(), [x], name="out")])


def test_text_reads_back_states_with_their_initial_arrays():
    for graph in (ring(), counter(shared=True)):
        text = to_text(graph)
        assert difference(parse(text, get_op), graph, names=True) == ""
        assert parse(text, get_op).states[0].shared == graph.states[0].shared
    assert "state total: total: float32[1,2] -> sum shared" in str(counter(shared=True))


def test_verify_refuses_states_that_do_not_fit():
    graph = ring()
    (state,) = graph.states
    wrong = {
        "never computed": dataclasses.replace(state, output="nothing"),
        "becomes 'scores'": dataclasses.replace(state, output="scores"),
        "starts as": dataclasses.replace(state, initial=np.zeros((1, 2), np.float32)),
        "which is something else": dataclasses.replace(state, input="x"),
        "which has no type": dataclasses.replace(state, input="nothing"),
    }
    for why, other in wrong.items():
        with pytest.raises(GraphError, match=why):
            verify(dataclasses.replace(graph, states=(other,)))
    twice = (state, dataclasses.replace(state, input="other"))
    value = dataclasses.replace(graph.values["past"], name="other")
    with pytest.raises(GraphError, match="same name"):
        verify(dataclasses.replace(graph, states=twice, values={**graph.values, "other": value}))
    b = GraphBuilder()
    b.state("s", PAIR)
    with pytest.raises(GraphError, match="never becomes"):
        b.build([])


def test_streams_carry_states_and_samples_do_not():
    graph, x = ring(), frames(9)
    (streamed,) = interpret(graph, x, stream=True)
    np.testing.assert_allclose(streamed, ring_by_hand(graph, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(smidgen.run(graph, x, stream=True)[0], streamed)
    (alone,) = interpret(graph, x)
    for i in range(len(x)):
        np.testing.assert_allclose(alone[i], ring_by_hand(graph, x[i : i + 1])[0], rtol=1e-5)


def test_a_session_steps_resets_and_shows_its_states():
    session = Session(counter())
    for count in (2, 3):
        session.step(np.ones((1, 2), np.float32))
        assert session.states["total"].tolist() == [[count, count]]
    session.reset()
    assert session.states["total"].tolist() == [[1, 1]]
    with pytest.raises(DataError, match="2 samples for one step"):
        session.step(np.ones((2, 2), np.float32))


def test_what_states_hold_makes_steps_independent():
    graph, x = ring(), frames(7)
    held = state_arrays(graph, x, stream=True)
    scores, becomes = interpret(graph.opened(), [x, *held])
    np.testing.assert_allclose(scores, interpret(graph, x, stream=True)[0], rtol=1e-6)
    np.testing.assert_array_equal(becomes[:-1], held[0][1:])
    assert not state_arrays(graph, x, stream=False)[0].any()
    assert difference(graph.opened().closed(graph), graph, names=True) == ""


def test_a_state_that_nothing_depends_on_goes_with_what_feeds_it():
    small = GraphEditor(counter()).finish()
    assert (small.states, [n.name for n in small.nodes]) == ((), ["out"])
    kept = GraphEditor(counter(shared=True)).finish()
    assert [n.name for n in kept.nodes] == ["sum", "out"]
    assert len(GraphEditor(ring()).finish().states) == 1


def test_states_that_feed_only_each_other_go_together():
    b = GraphBuilder()
    x = b.input("x", PAIR)
    first, second = b.state("first", PAIR), b.state("second", PAIR)
    b.becomes(first, b.add(get_op("RELU")(), [second]))
    b.becomes(second, b.add(get_op("ADD")(), [first, x]))
    graph = b.build([b.add(get_op("RELU")(), [x])])
    assert simplify(graph).states == ()


def test_rewrites_leave_what_a_state_becomes():
    """Identities around a state go; an activation is not fused into what the state keeps raw."""
    b = GraphBuilder()
    x = b.input("x", PAIR)
    last = b.state("last", PAIR)
    total = b.add(get_op("ADD")(), [x, last], name="total")
    b.becomes(last, b.add(get_op("RESHAPE")(new_shape=(1, 2)), [total], name="same"))
    graph = b.build([b.add(get_op("RELU")(), [total], name="out")])
    small = simplify(graph)
    assert [n.op.name for n in small.nodes] == ["ADD", "RELU"]
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    for one, other in zip(*(interpret(g, x, stream=True) for g in (graph, small)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_quantization_gives_a_state_one_scale_and_streams_in_order():
    graph, x = ring(), frames(300)
    int8 = smidgen.quantize(graph, x, stream=True)
    (state,) = int8.states
    assert int8.type(state.input) == int8.type(state.output)
    assert state.initial.dtype == np.int8
    assert (state.initial == int8.type(state.input).quant.zero_point).all()
    (want,) = interpret(graph, x, stream=True)
    (got,) = interpret(int8, encode(int8.input_types[0], x), stream=True)
    error = decode(int8.output_types[0], got) - want
    assert np.abs(error).max() < 0.05 * np.abs(want).max()
    # Without the state's contents the ranges of its readers are too narrow.
    (lost,) = interpret(int8, encode(int8.input_types[0], x))
    assert np.abs(decode(int8.output_types[0], lost) - want).max() > np.abs(error).max()
    worst = layer_errors(prepare(graph), int8, [x[:64]], stream=True)[0]
    assert worst.own_snr_db > 25
    shrink(int8)


def test_a_float_layer_keeps_its_state_in_float():
    in_float = smidgen.Recipe((smidgen.Rule(dtype="float32"), smidgen.Rule(scope="scores")))
    mixed = smidgen.quantize(ring(), frames(50), in_float, stream=True)
    (state,) = mixed.states
    assert mixed.type(state.input).dtype == "float32"
    assert mixed.output_types[0].dtype == "int8"


def test_what_makes_a_state_in_a_scale_of_its_own_is_converted_to_the_readers():
    b = GraphBuilder()
    x = b.input("x", PAIR)
    past = b.state("past", PAIR, np.full((1, 2), 3, np.float32))
    total = b.add(get_op("ADD")(), [x, past])
    b.becomes(past, b.add(get_op("LOGISTIC")(), [total]))  # demands a scale of 1/256
    int8 = smidgen.quantize(b.build([total]), np.ones((8, 2), np.float32), stream=True)
    (state,) = int8.states
    assert int8.producers[state.output].op.name == "QUANTIZE"
    quant = int8.type(state.input).quant
    assert isinstance(quant, QuantParams) and quant.scale > 2.9 / 255
