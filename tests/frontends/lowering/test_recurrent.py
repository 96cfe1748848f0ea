"""Recurrent layers: PyTorch, Keras and onnxruntime are the oracles."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering import (
    Cell,
    GruCell,
    Lowering,
    LstmCell,
    RnnCell,
    Run,
    run,
    run_layers,
)
from smidgen.frontends.lowering.activation import relu
from smidgen.interpreter import Session, interpret
from smidgen.ir import Graph, GraphBuilder, TensorType

pytestmark = pytest.mark.torch

Array = np.ndarray[Any, Any]
TIME, INPUTS, UNITS = 6, 5, 7
X = np.random.default_rng(0).normal(0, 1, (3, TIME, INPUTS)).astype(np.float32)
STATES = [np.random.default_rng(i).normal(0, 1, (3, UNITS)).astype(np.float32) for i in (1, 2)]
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CELLS = {"LSTM": LstmCell, "GRU": GruCell, "RNN": RnnCell}


def at_sequence(*states: int, inputs: int = INPUTS) -> tuple[Lowering, str, list[str]]:
    """A graph with a sequence as its input, and states of so many elements."""
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, TIME, inputs), "float32"))
    others = [builder.input(f"s{i}", TensorType((1, n), "float32")) for i, n in enumerate(states)]
    return Lowering(builder), x, others


def results(made: Run) -> list[str]:
    return [name for name in made if name is not None]


def assert_close(graph: Graph, inputs: list[Array], wanted: list[Array]) -> None:
    for got, want in zip(interpret(graph, inputs), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-6)


def ops(graph: Graph) -> set[str]:
    return {node.op.name for node in graph.nodes}


# -- PyTorch ---------------------------------------------------------------------------------------


def torch_layer(kind: str, **how: Any) -> tuple[Any, list[list[Cell]]]:
    import torch

    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(INPUTS, UNITS, batch_first=True, **how)
    arrays = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    cells: list[list[Cell]] = []
    for number in range(layer.num_layers):
        cells.append([])
        for end in ["", "_reverse"][: 1 + layer.bidirectional]:
            names = [
                f"{n}_l{number}{end}" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            weights = [arrays[name] for name in names if name in arrays]
            cells[-1].append(CELLS[kind].from_torch(*weights))
    return layer, cells


def torch_results(layer: Any, *given: Array) -> list[Array]:
    import torch

    with torch.no_grad():
        x, *states = (torch.from_numpy(a) for a in given)
        first = states[0] if len(states) == 1 else tuple(states)
        y, last = layer(x, first) if states else layer(x)
    ends = last if isinstance(last, tuple) else (last,)
    return [y.numpy(), *(end.numpy() for end in ends)]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "how",
    [{}, {"bias": False}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}],
    ids=["one", "no bias", "both ways", "two layers both ways"],
)
@pytest.mark.parametrize("unroll", [False, True])
def test_layers_of_torch(kind: str, how: dict[str, Any], unroll: bool) -> None:
    layer, cells = torch_layer(kind, **how)
    at, x, _ = at_sequence()
    y, hiddens, memories = run_layers(at, cells, x, unroll=unroll)
    graph = at.builder.build([y, *hiddens, *(m for m in memories if m is not None)])
    want, *ends = torch_results(layer, X)
    assert_close(graph, [X], [want, *(state for end in ends for state in end)])
    operator = kind == "LSTM" and not unroll
    assert ("UNIDIRECTIONAL_SEQUENCE_LSTM" in ops(graph)) is operator


@pytest.mark.parametrize("kind", CELLS)
def test_first_states_of_torch(kind: str) -> None:
    layer, ((cell,),) = torch_layer(kind)
    count = 2 if kind == "LSTM" else 1
    at, x, names = at_sequence(*[UNITS] * count)
    given = dict(zip(("hidden", "memory"), names, strict=False))
    graph = at.builder.build(results(run(at, cell, x, **given)))
    states = STATES[:count]
    want, *ends = torch_results(layer, X, *(state[None] for state in states))
    assert_close(graph, [X, *states], [want, *(end[0] for end in ends)])


def test_another_activation_of_torch() -> None:
    layer, ((cell,),) = torch_layer("RNN", nonlinearity="relu")
    assert isinstance(cell, RnnCell)
    other = RnnCell(cell.x, cell.h, cell.x_bias, cell.h_bias, relu)
    at, x, _ = at_sequence()
    graph = at.builder.build([run(at, other, x).sequence])
    assert_close(graph, [X], torch_results(layer, X)[:1])
    assert "TANH" not in ops(graph)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
def test_a_projection_of_torch() -> None:
    import torch

    torch.manual_seed(0)
    layer = torch.nn.LSTM(INPUTS, UNITS, batch_first=True, proj_size=3)
    w_ih, w_hh, b_ih, b_hh, w_hr = (p.detach().numpy() for p in layer.parameters())
    cell = LstmCell(w_ih, w_hh, b_ih, b_hh, projection=w_hr)
    at, x, _ = at_sequence()
    graph = at.builder.build(results(run(at, cell, x)))
    want, *ends = torch_results(layer, X)
    assert_close(graph, [X], [want, *(end[0] for end in ends)])


# -- Keras -----------------------------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("reset_after", [True, False])
def test_layers_of_keras(kind: str, use_bias: bool, go_backwards: bool, reset_after: bool) -> None:
    import keras

    if kind != "GRU" and not reset_after:
        reset_after = True
    name = "SimpleRNN" if kind == "RNN" else kind
    own = {"reset_after": reset_after} if kind == "GRU" else {}
    layer = getattr(keras.layers, name)(
        UNITS,
        use_bias=use_bias,
        bias_initializer="normal",
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
        **own,
    )
    wanted = [a.detach().numpy() for a in layer(X)]
    weights = [w.value.detach().numpy() for w in layer.weights]
    cell = CELLS[kind].from_keras(*weights, **own)
    at, x, _ = at_sequence()
    made = run(at, cell, x, reverse=go_backwards)
    graph = at.builder.build(results(made))
    if go_backwards:  # Keras leaves the steps in the order in which they were computed
        wanted[0] = wanted[0][:, ::-1]
    assert_close(graph, [X], wanted)


# -- ONNX ------------------------------------------------------------------------------------------


@pytest.mark.onnx
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("linear_before_reset", [0, 1])
@pytest.mark.parametrize("peepholes", [False, True])
def test_layers_of_onnx(kind: str, linear_before_reset: int, peepholes: bool) -> None:
    import onnx
    import onnxruntime

    if (kind != "GRU" and linear_before_reset) or (kind != "LSTM" and peepholes):
        linear_before_reset, peepholes = 0, False
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    rng = np.random.default_rng(3)
    shapes = [(gates * UNITS, INPUTS), (gates * UNITS, UNITS), (2 * gates * UNITS,)]
    w, r, b = (rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes)
    p = rng.normal(0, 0.5, 3 * UNITS).astype(np.float32)
    own = {"linear_before_reset": linear_before_reset} if kind == "GRU" else {}
    given = [("W", w), ("R", r), ("B", b)] + ([("P", p)] if peepholes else [])
    names = ["x", "W", "R", "B", *(["", "", "", "P"] if peepholes else [])]
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (kind == "LSTM")]
    node = onnx.helper.make_node(kind, names, outputs, hidden_size=UNITS, **own)
    tensor = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [node],
            "g",
            [tensor("x", 1, (TIME, 3, INPUTS))],
            [tensor(name, 1, None) for name in outputs],
            [onnx.numpy_helper.from_array(a[None], name) for name, a in given],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    y, *ends = session.run(None, {"x": X.transpose(1, 0, 2)})
    wanted = [y[:, 0].transpose(1, 0, 2), *(end[0] for end in ends)]

    how = {"linear_before_reset": bool(linear_before_reset)} if kind == "GRU" else {}
    cell = CELLS[kind].from_onnx(w, r, b, **how)
    if peepholes:
        i, o, f = p.reshape(3, UNITS)
        cell = LstmCell(cell.x, cell.h, cell.x_bias, cell.h_bias, peepholes=np.stack([i, f, o]))
    at, x, _ = at_sequence()
    assert_close(at.builder.build(results(run(at, cell, x))), [X], wanted)


# -- states and refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("unroll", [False, True])
def test_a_state_is_carried_over_steps(kind: str, unroll: bool) -> None:
    """The sequence in two parts, one after the other, is the whole."""
    layer, ((cell,),) = torch_layer(kind)
    half = TIME // 2
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, half, INPUTS), "float32"))
    at = Lowering(builder)
    graph = builder.build([run(at, cell, x, stateful=True, unroll=unroll).sequence])
    assert len(graph.states) == (2 if kind == "LSTM" else 1)
    session = Session(graph)
    parts = [session.run([part])[0] for part in (X[:1, :half], X[:1, half:])]
    np.testing.assert_allclose(
        np.concatenate(parts, 1), torch_results(layer, X[:1])[0], rtol=1e-4, atol=2e-6
    )


def test_a_limit_of_the_cell_state() -> None:
    """Of the operator and of what it is unrolled to, which nobody else has."""
    _, ((cell,),) = torch_layer("LSTM")
    limited = LstmCell(cell.x * 4, cell.h * 4, cell.x_bias, cell.h_bias, limit=0.3)
    made = []
    for unroll in (False, True):
        at, x, _ = at_sequence()
        graph = at.builder.build(results(run(at, limited, x, unroll=unroll)))
        made.append(interpret(graph, [X]))
        assert np.abs(made[-1][2]).max() == np.float32(0.3)
    for a, b in zip(*made, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def test_weights_of_all_steps_are_the_same_constants() -> None:
    _, ((cell,),) = torch_layer("GRU")
    at, x, _ = at_sequence()
    graph = at.builder.build([run(at, cell, x).sequence])
    sizes = [w.size for w in (cell.x, cell.h)]
    assert graph.constant_bytes < 4 * (sum(sizes) + 6 * 3 * UNITS + 100)


def test_what_does_not_fit_is_refused() -> None:
    _, ((cell,),) = torch_layer("LSTM")
    at, x, (state,) = at_sequence(UNITS + 1)
    with pytest.raises(UnsupportedModelError, match=re.escape("hidden state of shape (1, 8), not")):
        run(at, cell, x, hidden=state)
    with pytest.raises(UnsupportedModelError, match="remembers its state is given one, too"):
        run(at, cell, x, hidden=np.ones((1, UNITS), np.float32), stateful=True)
    at, x, _ = at_sequence(inputs=INPUTS + 1)
    with pytest.raises(UnsupportedModelError, match=re.escape("(1, 6, 6) for 5 inputs")):
        run(at, cell, x)
    with pytest.raises(UnsupportedModelError, match="are not those of 4 gates"):
        LstmCell(cell.x[1:], cell.h, cell.x_bias, cell.h_bias)
