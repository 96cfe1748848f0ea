"""What the matrix does not ask of an LSTM: real models over many steps, and refusals."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.tflite.writer import write
from smidgen.errors import UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import Session, interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import NodeTypes, Op, TfliteNode, get_op
from smidgen.ops._lstm import CELL, HIDDEN, RECURRENT, WEIGHTS, cell_power
from smidgen.verify.runtimes import RuntimePool

Array = np.ndarray[Any, Any]
LSTM = get_op("UNIDIRECTIONAL_SEQUENCE_LSTM")
STEPS = 50


def types(time: int = 3, inputs: int = 4, units: int = 5) -> list[TensorType]:
    shapes = [(1, time, inputs), *[(units, inputs)] * 4, *[(units, units)] * 4, *[(units,)] * 4]
    return [TensorType(shape, "float32") for shape in [*shapes, (1, units), (1, units)]]


# -- real models: the runtimes of others, over many steps ------------------------------------------


@pytest.mark.e2e
@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["tflm_dtln_noise_suppression", "coral_keras_lstm_mnist_ptq", "tflm_mnist_lstm_float"]
)
@pytest.mark.parametrize("stream", [True, False])
def test_real_models_agree_with_tflm(
    shared: Path, pool: RuntimePool, name: str, stream: bool
) -> None:
    path = shared / "zoo" / f"{name}.tflite"
    graph = read(path)
    assert len(graph.states) == 2 * sum(n.op.name == LSTM.name for n in graph.nodes)
    inputs = random_inputs(graph, STEPS if stream else 8, seed=1)
    want = interpret(graph, inputs, stream=stream)[0]
    assert len(np.unique(want)) > 15
    models = [path.read_bytes(), write(graph)]
    if any(t.dtype == "uint8" for t in graph.output_types):
        models = models[1:]  # the file's own QUANTIZE to uint8 is not TFLM's
    for model in models:
        got = pool.run("tflm", model, inputs, stream=stream).outputs[0]
        if graph.is_quantized:
            np.testing.assert_array_equal(got, want)
        else:
            np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.e2e
@pytest.mark.toolchain
@pytest.mark.emulator
@pytest.mark.parametrize("name", ["tflm_dtln_noise_suppression", "coral_keras_lstm_mnist_ptq"])
def test_firmware_remembers_as_the_reference_does(shared: Path, tmp_path: Path, name: str) -> None:
    graph = read(shared / "zoo" / f"{name}.tflite")
    firmware = smidgen.compile(graph, board="nucleo-l4r5zi", out=tmp_path)
    inputs = random_inputs(graph, 5, seed=2)
    for stream in (True, False):
        want = interpret(graph, inputs, stream=stream)[0]
        for place in ("emulator", "host"):
            got = firmware.run(inputs, on=place, stream=stream).outputs[0]
            np.testing.assert_array_equal(got, want)


# -- many steps and many samples -------------------------------------------------------------------


def small(op: Op, x: tuple[int, ...], seed: int = 0) -> Graph:
    """An LSTM of floats over a sequence of any layout."""
    rng = np.random.default_rng(seed)
    batch = x[1] if getattr(op, "time_major", False) else x[0]
    builder = GraphBuilder()
    flat = builder.input("x", TensorType((1, int(np.prod(x))), "float32"))
    names = [builder.add(get_op("RESHAPE")(x), [flat])]
    names += [
        builder.constant(rng.normal(0, 0.5, t.shape).astype(np.float32))
        for t in types(x[1], x[2])[WEIGHTS:HIDDEN]
    ]
    held = [builder.state(s, TensorType((batch, 5), "float32")) for s in ("h", "c")]
    outputs = builder.add_multi(op, [*names, *held])
    for state, becomes in zip(held, outputs[1:], strict=True):
        builder.becomes(state, becomes)
    return builder.build([outputs[0]])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("time_major", "x"), [(True, (6, 1, 4)), (True, (6, 3, 4)), (False, (3, 6, 4))]
)
def test_other_layouts_of_sequences(
    pool: RuntimePool, time_major: bool, x: tuple[int, ...]
) -> None:
    graph = small(LSTM(time_major=time_major), x)
    inputs = random_inputs(graph, 3)
    want = interpret(graph, inputs, stream=True)[0]
    for runtime in ("tflm", "litert_ref"):
        got = pool.run(runtime, write(graph), inputs, stream=True).outputs[0]
        np.testing.assert_allclose(got.reshape(want.shape), want, atol=1e-5)


def test_the_layouts_mean_the_same() -> None:
    batch, major = small(LSTM(), (3, 6, 4)), small(LSTM(time_major=True), (6, 3, 4))
    x = np.random.default_rng(0).normal(0, 1, (3, 6, 4)).astype(np.float32)
    a = interpret(batch, x.reshape(1, -1))[0]
    b = interpret(major, x.transpose(1, 0, 2).reshape(1, -1))[0]
    np.testing.assert_allclose(a, b.transpose(1, 0, 2), rtol=1e-5)


def test_a_reset_forgets() -> None:
    session = Session(small(LSTM(), (1, 6, 4)))
    x = [np.ones((1, 24), np.float32)]
    first, second = session.run(x)[0], session.run(x)[0]
    assert not np.array_equal(first, second)
    session.reset()
    np.testing.assert_array_equal(session.run(x)[0], first)


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "shape", "why"),
    [
        (0, (1, 4), "a sequence of rank 3"),
        (WEIGHTS + 1, (5, 3), "operand 2 has shape (5, 3), not (5, 4)"),
        (RECURRENT, (5, 4), "operand 5 has shape (5, 4), not (5, 5)"),
        (CELL, (1, 4), "operand 14 has shape (1, 4), not (1, 5)"),
    ],
)
def test_operands_that_do_not_fit_are_refused(place: int, shape: tuple[int, ...], why: str) -> None:
    given = types()
    given[place] = given[place].with_shape(shape)
    with pytest.raises(ValueError, match=re.escape(why)):
        LSTM().infer(*given)


def test_element_types_that_no_kernel_has_are_refused() -> None:
    given = types()
    given[WEIGHTS] = replace(given[WEIGHTS], dtype="int8")
    with pytest.raises(ValueError, match="'float32, int8'"):
        LSTM().infer(*given)
    with pytest.raises(ValueError, match="takes 15 operands"):
        LSTM().infer(*given[:-1])


@pytest.mark.parametrize("scale", [0.3, 2.0**-28, 1.0])
def test_a_cell_state_of_another_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="must be a power of two"):
        cell_power(scale)


@pytest.mark.parametrize(
    ("changes", "place", "why"),
    [
        ({"fused_activation_function": "RELU"}, None, "its gates squash by RELU"),
        ({"diagonal_recurrent_tensors": True}, None, "diagonal matrices"),
        ({}, 10, "an LSTM with peepholes"),
        ({}, 16, "an LSTM with a projection"),
        ({}, 22, "an LSTM with layer normalization"),
        ({}, -1, "without an input gate"),
    ],
)
def test_variants_without_a_kernel_are_refused(
    changes: dict[str, Any], place: int | None, why: str
) -> None:
    given = tuple(types())
    form = LSTM().tflite_write(NodeTypes(given, LSTM().infer(*given)))
    in_file = [None if i is None else given[i] for i in form.operands]  # type: ignore[index]
    if place == -1:
        in_file[1] = None
    elif place is not None:
        in_file[place] = TensorType((5,), "float32")
    fields = {**form.fields, "diagonal_recurrent_tensors": False, **changes}
    node = TfliteNode(fields, tuple(in_file), (None,) * 24, ())
    with pytest.raises(UnsupportedModelError, match=why):
        LSTM.tflite_read(node)


def test_zero_points_of_wide_states_are_refused() -> None:
    Q = QuantParams.per_tensor
    quants = [Q(1e-4), *[Q(0.01)] * 8, *[Q(1e-6)] * 4, Q(3e-5), Q(2.0**-11, 1)]
    dtypes = ["int16", *["int8"] * 8, *["int64"] * 4, "int16", "int16"]
    given = [TensorType(t.shape, d, q) for t, d, q in zip(types(), dtypes, quants, strict=True)]
    outputs = tuple(
        t.with_quant(given[i].quant)
        for t, i in zip(LSTM().infer(*given), (13, 13, 14), strict=True)
    )
    with pytest.raises(ValueError, match="zero point"):
        LSTM().check_quant(tuple(given), outputs)
