"""Recurrent networks in integers: an LSTM as one operator and everything else unrolled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.backends.tflite.writer import write
from smidgen.data import encode
from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering import Cell, GruCell, Lowering, LstmCell, RnnCell, run
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops._lstm import BIASES, CELL, HIDDEN, RECURRENT, WEIGHTS
from smidgen.transforms.quantize import quantize
from smidgen.verify.runtimes import RuntimePool

Array = np.ndarray[Any, Any]
TIME, INPUTS, UNITS = 12, 6, 9  # more steps than TFLM concatenates at once
X = np.random.default_rng(0).normal(0, 1, (120, TIME, INPUTS)).astype(np.float32)


def cell(kind: type[Cell], gates: int) -> Cell:
    rng = np.random.default_rng(1)
    shapes = (gates * UNITS, INPUTS), (gates * UNITS, UNITS), (gates * UNITS,), (gates * UNITS,)
    return kind(*(rng.normal(0, 0.5, s).astype(np.float32) for s in shapes))


def network(kind: type[Cell], gates: int, **how: Any) -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, TIME, INPUTS), "float32"))
    made = run(Lowering(builder), cell(kind, gates), x, **how)
    return builder.build([made.sequence])


def real(graph: Graph, outputs: Array) -> Array:
    quant = graph.output_types[0].quant
    assert quant is not None
    values: Array = (outputs.astype(np.float32) - quant.zero_point) * quant.scale
    return values


KINDS = [
    (LstmCell, 4, {}),
    (LstmCell, 4, {"stateful": True}),
    (LstmCell, 4, {"unroll": True}),
    (GruCell, 3, {}),
    (RnnCell, 1, {"reverse": True}),
]


@pytest.mark.oracle
@pytest.mark.parametrize(("kind", "gates", "how"), KINDS)
def test_a_quantized_layer_is_close_and_tflm_computes_the_same(
    pool: RuntimePool, kind: type[Cell], gates: int, how: dict[str, Any]
) -> None:
    graph = network(kind, gates, **how)
    integer = quantize(graph, X)
    assert not {"QUANTIZE", "DEQUANTIZE"} & {n.op.name for n in integer.nodes}
    x = encode(integer.input_types[0], X)
    got, want = interpret(integer, x)[0], interpret(graph, X)[0]
    assert np.abs(real(integer, got) - want).mean() < 0.03 * np.abs(want).mean()
    same = pool.run("tflm", write(integer), [x[:20]]).outputs[0]
    np.testing.assert_array_equal(same, got[:20])


@pytest.mark.oracle
def test_wide_activations_are_closer(pool: RuntimePool) -> None:
    graph = network(LstmCell, 4)
    integer = quantize(graph, X, "int16x8")
    x = encode(integer.input_types[0], X)
    got, want = interpret(integer, x)[0], interpret(graph, X)[0]
    assert np.abs(real(integer, got) - want).mean() < 0.01 * np.abs(want).mean()
    same = pool.run("tflm", write(integer), [x[:20]]).outputs[0]
    np.testing.assert_array_equal(same, got[:20])


def test_an_lstm_has_the_scales_that_its_kernels_want() -> None:
    (node,) = quantize(network(LstmCell, 4, stateful=True), X).nodes
    integer = quantize(network(LstmCell, 4, stateful=True), X)
    types = [integer.type(name or "") for name in integer.nodes[0].inputs]
    quants = [t.quant for t in types]
    assert all(q is not None for q in quants)
    assert (types[CELL].dtype, types[HIDDEN].dtype) == ("int16", "int8")
    mantissa, _ = np.frexp(quants[CELL].scale)  # type: ignore[union-attr]
    assert mantissa == 0.5 and quants[CELL].zero_point == 0  # type: ignore[union-attr]
    assert quants[HIDDEN] == integer.output_types[0].quant
    for g in range(4):
        x, w, r, b = (quants[i] for i in (0, WEIGHTS + g, RECURRENT + g, BIASES + g))
        assert x and w and r and b and w != r
        np.testing.assert_allclose(b.scale, x.scale * w.scale, rtol=1e-6)
    assert len({str(quants[WEIGHTS + g]) for g in range(4)}) == 4
    assert node.op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"


def test_the_cell_states_scale_holds_every_step() -> None:
    """The state after the last step is small, on the way it is large."""
    x = np.zeros((50, TIME, INPUTS), np.float32)
    x[:, : TIME - 1] = 3.0
    x[:, TIME - 1] = -3.0
    eye = np.ones((1, INPUTS), np.float32) * 0.5
    w = np.concatenate([eye, eye, eye, eye]).astype(np.float32)
    tiny = LstmCell(w, 0 * w[:, :1], np.zeros(4, np.float32), np.zeros(4, np.float32))
    builder = GraphBuilder()
    name = builder.input("x", TensorType((1, TIME, INPUTS), "float32"))
    graph = builder.build([run(Lowering(builder), tiny, name).sequence])
    integer = quantize(graph, x)
    quant = integer.type(integer.nodes[0].inputs[CELL] or "").quant
    assert quant is not None and quant.scale * 32768 >= TIME - 1


@pytest.mark.oracle
@pytest.mark.parametrize("gain", [0.02, 0.3, 3.0])
def test_litert_is_close_whatever_the_range_of_the_cell_state(
    pool: RuntimePool, gain: float
) -> None:
    """Its gates differ by a unit or two; its tanh takes few scales only."""
    layer = cell(LstmCell, 4)
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, TIME, INPUTS), "float32"))
    scaled = LstmCell(layer.x * gain, layer.h, layer.x_bias * gain, layer.h_bias * gain)
    integer = quantize(builder.build([run(Lowering(builder), scaled, x).sequence]), X)
    given = encode(integer.input_types[0], X[:20])
    theirs = pool.run("litert_ref", write(integer), [given]).outputs[0]
    off = np.abs(theirs.astype(int) - interpret(integer, given)[0])
    assert off.mean() < 0.5 and off.max() < 20


def test_zeros_that_two_layers_begin_with_do_not_tie_them() -> None:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, TIME, INPUTS), "float32"))
    at = Lowering(builder)
    first = cell(LstmCell, 4)
    assert isinstance(first, LstmCell)
    large = LstmCell(first.x * 3, first.h * 3, first.x_bias, first.h_bias)
    outputs = [run(at, layer, x).sequence for layer in (first, large)]
    integer = quantize(builder.build(outputs), X)
    assert integer.output_types[0].quant != integer.output_types[1].quant


def test_what_a_file_cannot_say_of_first_and_last_states_is_refused() -> None:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, TIME, INPUTS), "float32"))
    made = run(Lowering(builder), cell(LstmCell, 4), x)
    assert made.memory is not None
    with pytest.raises(UnsupportedModelError, match=r"is read.*unroll"):
        write(builder.build([made.sequence, made.memory]))
