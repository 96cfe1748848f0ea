"""int16 activations: every number there is, at scales that make ties, on every engine."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.host import QUICK, HostModel
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.c.stream import stream
from smidgen.backends.tflite.writer import write
from smidgen.errors import GraphError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.schema import decode, encode
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor
EVERY = np.arange(-(2**15), 2**15).astype(np.int16)
UNIT = Q(2.0**-15)


def unary(name: str, scale: float, out: float, *attributes: object) -> Graph:
    """An operator on rows of 256 int16 numbers."""
    builder = GraphBuilder(name.lower())
    x = builder.input("x", TensorType((1, 256), "int16", Q(scale)))
    return builder.build([builder.add(get_op(name)(*attributes), [x], quant=Q(out))])


def layer(name: str, factor: float, weights: list[int], bias: list[int], dtype: str) -> Graph:
    """A layer that makes an output of each of 256 numbers and each weight."""
    builder = GraphBuilder(name.lower())
    shape = (1, 256) if name == "FULLY_CONNECTED" else (1, 16, 16, 1)
    x = builder.input("x", TensorType(shape, "int16", Q(0.5)))
    w = np.array(weights, np.int8)
    form = {"CONV_2D": (-1, 1, 1, 1), "DEPTHWISE_CONV_2D": (1, 1, 1, -1)}
    if name == "FULLY_CONNECTED":
        w = np.kron(np.eye(256, dtype=np.int8), w[:, None])
    quant = Q(2 * factor)
    c = builder.constant(w.reshape(form.get(name, w.shape)), name="w", quant=quant)
    repeat = 256 if name == "FULLY_CONNECTED" else 1
    b = builder.constant(np.tile(np.array(bias, dtype), repeat), name="b", quant=Q(factor))
    return builder.build([builder.add(get_op(name)(), [x, c, b], quant=Q(1.0))])


@cache
def graphs() -> dict[str, Graph]:
    found = {
        "LOGISTIC, a scale of the table": unary("LOGISTIC", 2.0**-12, 2.0**-15),
        "LOGISTIC, nearly": unary("LOGISTIC", 2.0**-12 * 1.0005, 2.0**-15),
        "LOGISTIC, another power": unary("LOGISTIC", 2.0**-11, 2.0**-15),
        "LOGISTIC, large": unary("LOGISTIC", 2.6, 2.0**-15),
        "LOGISTIC, tiny": unary("LOGISTIC", 1e-9, 2.0**-15),
        "TANH, a scale of the table": unary("TANH", 2.0**-12, 2.0**-15),
        "TANH, the other one": unary("TANH", 2.0**-11, 2.0**-15),
        "TANH, another power": unary("TANH", 2.0**-13, 2.0**-15),
        "TANH, any": unary("TANH", 0.000731, 2.0**-15),
        "SOFTMAX": unary("SOFTMAX", 0.00123, 2.0**-15),
        "SOFTMAX, steep": unary("SOFTMAX", 0.5, 2.0**-15, 1.7),
        "SOFTMAX, flat": unary("SOFTMAX", 1e-6, 2.0**-15),
        "RELU, ties": unary("RELU", 0.5, 4.0),
        "RELU6": unary("RELU6", 0.001, 0.001),
        "LEAKY_RELU, ties": unary("LEAKY_RELU", 0.5, 2.0, -0.5),
        "LEAKY_RELU, larger": unary("LEAKY_RELU", 0.5, 0.3, 0.1),
        "QUANTIZE to int8, ties": unary("QUANTIZE", 0.5, 128.0, "int8"),
        "QUANTIZE to int32": unary("QUANTIZE", 0.5, 0.001, "int32"),
    }
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        for factor in (2.0**-9, 0.00731):
            for dtype in ("int64", "int32"):
                if (name, dtype) != ("DEPTHWISE_CONV_2D", "int32"):
                    what = f"{name}, {dtype}, {factor}"
                    found[what] = layer(name, factor, [1, -127], [3, -70000], dtype)
    found["CONV_2D, a bias of 40 bits"] = layer("CONV_2D", 2.0**-9, [127], [2**39], "int64")
    return found


def inputs(graph: Graph) -> Array:
    return EVERY.reshape(256, *graph.input_types[0].shape[1:])


@cache
def batch() -> HostBatch:
    return HostBatch(list(graphs().values()))


@pytest.mark.oracle
@pytest.mark.parametrize("name", graphs())
def test_every_number_on_tflm_and_the_host(name: str, pool: RuntimePool) -> None:
    graph = graphs()[name]
    x, want = inputs(graph), interpret(graph, inputs(graph))[0]
    np.testing.assert_array_equal(pool.run("tflm", write(graph), [x]).outputs[0], want)
    np.testing.assert_array_equal(batch().run(list(graphs()).index(name), x)[0], want)


@pytest.mark.emulator
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "raspberry-pi-pico"])
@pytest.mark.parametrize(
    "name",
    ["LOGISTIC, tiny", "TANH, any", "SOFTMAX", "LEAKY_RELU, ties", "CONV_2D, int64, 0.00731"],
)
def test_on_emulated_cores(name: str, board: str) -> None:
    graph = graphs()[name]
    x = inputs(graph)[::50]
    run = smidgen.compile(graph, board).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def dsp_layer(name: str, x: tuple[int, ...], w: tuple[int, ...], dtype: str, **how: Any) -> Graph:
    """A layer that a kernel with DSP instructions computes."""
    rng = np.random.default_rng(len(x) * 1000 + sum(w))
    builder = GraphBuilder(name.lower())
    channels = w[3] if name == "DEPTHWISE_CONV_2D" else w[0]
    operands = [
        builder.input("x", TensorType(x, "int16", Q(0.001))),
        builder.constant(rng.integers(-127, 128, w).astype(np.int8), name="w", quant=Q(0.02)),
        builder.constant(
            rng.integers(-(10**6), 10**6, channels).astype(dtype), name="b", quant=Q(0.00002)
        ),
    ]
    return builder.build([builder.add(get_op(name)(**how), operands, quant=Q(0.013))])


DSP_LAYERS = [
    dsp_layer("CONV_2D", (1, 7, 6, 3), (5, 3, 3, 3), "int64", padding="SAME"),
    dsp_layer("CONV_2D", (1, 9, 8, 4), (6, 3, 2, 4), "int32", stride_h=2, stride_w=2),
    dsp_layer("CONV_2D", (1, 5, 5, 9), (3, 1, 1, 9), "int64"),
    dsp_layer("CONV_2D", (1, 9, 9, 2), (4, 3, 3, 2), "int64", padding="SAME", dilation_h_factor=2),
    dsp_layer("DEPTHWISE_CONV_2D", (1, 7, 9, 8), (1, 3, 3, 8), "int64", padding="SAME"),
    dsp_layer("DEPTHWISE_CONV_2D", (1, 9, 9, 4), (1, 4, 3, 4), "int64", stride_h=2, stride_w=3),
    dsp_layer("FULLY_CONNECTED", (1, 13), (6, 13), "int64"),
    dsp_layer("FULLY_CONNECTED", (1, 3, 16), (4, 16), "int32", keep_num_dims=True),
]


@pytest.mark.emulator
def test_layers_with_dsp_instructions() -> None:
    """In plain C on the host, and by the instructions themselves on an emulated Cortex-M4."""
    batch = HostBatch(DSP_LAYERS, features=["dsp"])
    for i, graph in enumerate(DSP_LAYERS):
        kernel = select_kernels(graph, features=["dsp"])[0].kernel
        assert kernel.symbol == f"sm_{graph.name}_int16_dsp"
        x = random_inputs(graph, 8)
        (want,) = interpret(graph, x)
        np.testing.assert_array_equal(batch.run(i, x)[0], want)
        run = smidgen.compile(graph, "nucleo-l4r5zi").run([a[:3] for a in x])
        np.testing.assert_array_equal(run.outputs[0], want[:3])


def chain() -> Graph:
    """Layers with windows, and a residual sum, that can run some rows at a time."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder("chain")
    quant = Q(0.001)

    def layer(name: str, x: str, w: tuple[int, ...], *window: object) -> str:
        c = builder.constant(rng.integers(-127, 128, w).astype(np.int8), quant=Q(0.01))
        return builder.add(get_op(name)(*window), [x, c, None], quant=quant)

    x = builder.input("x", TensorType((1, 17, 7, 8), "int16", quant))
    first = layer("CONV_2D", x, (8, 3, 3, 8), 1, 1, "SAME", "RELU")
    second = layer("DEPTHWISE_CONV_2D", first, (1, 3, 3, 8), 1, 1, "SAME")
    total = builder.add(get_op("ADD")(), [first, second], quant=quant)
    third = layer("CONV_2D", total, (5, 3, 3, 8), 2, 2, "SAME")
    pool = builder.add(get_op("AVERAGE_POOL_2D")(1, 1, 3, 3, "SAME"), [third], quant=quant)
    return builder.build([builder.add(get_op("MAX_POOL_2D")(2, 2, 2, 2), [pool], quant=quant)])


@pytest.mark.parametrize("features", [(), ("dsp",)])
@pytest.mark.parametrize("rows", [1, 3])
def test_layers_run_some_rows_at_a_time(rows: int, features: tuple[str, ...]) -> None:
    graph = chain()
    made = stream(graph, select_kernels(graph, features=features), rows)
    assert made is not None
    arena = plan_arena(graph, [made])
    x = random_inputs(graph, 6)
    got = HostModel(graph, flags=QUICK, arena=arena).run(x)[0]
    np.testing.assert_array_equal(got, interpret(graph, x)[0])


def test_long_sums_leave_32_bits_and_are_exact() -> None:
    """2,000 products of the largest numbers, in one row and in one window."""
    builder = GraphBuilder("long")
    x = builder.input("x", TensorType((1, 4, 500, 1), "int16", Q(1.0)))
    w = builder.constant(np.full((1, 4, 500, 1), -127, np.int8), name="w", quant=Q(1.0))
    rows = builder.constant(np.full((1, 2000), 127, np.int8), name="rows", quant=Q(1.0))
    conv = builder.add(get_op("CONV_2D")(), [x, w, None], quant=Q(2.0**18))
    dense = builder.add(get_op("FULLY_CONNECTED")(), [x, rows, None], quant=Q(2.0**18))
    graph = builder.build([conv, dense])
    numbers = np.stack([np.full((4, 500, 1), v, np.int16) for v in (-32768, 32767, 5)])
    want = interpret(graph, numbers)
    assert want[0].ravel().tolist() == [31750, -31749, -5]
    for got, expected in zip(HostBatch([graph]).run(0, numbers), want, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_sums_that_may_leave_32_bits_have_no_kernel() -> None:
    builder = GraphBuilder("long")
    x = builder.input("x", TensorType((1, 600), "int16", Q(1.0)))
    w = builder.constant(np.full((1, 600), -127, np.int8), name="w", quant=Q(1.0))
    b = builder.constant(np.zeros(1, np.int32), name="b", quant=Q(1.0))
    dense = builder.add(get_op("FULLY_CONNECTED")(), [x, w, b], quant=Q(2.0**18))
    with pytest.raises(UnsupportedModelError, match="sums up to 2496921600; 2147483647"):
        HostBatch([builder.build([dense])])


def test_zero_points_are_refused() -> None:
    builder = GraphBuilder("offset")
    x = builder.input("x", TensorType((1, 4), "int16", Q(1.0, 3)))
    with pytest.raises(GraphError, match="int16 with a zero point other than 0"):
        builder.build([builder.add(get_op("RELU")(), [x], quant=Q(1.0))])


@pytest.mark.parametrize(
    ("name", "scale", "why"),
    [("LOGISTIC", 3.0, "not 1e-13 to 2.66"), ("TANH", 1e-14, "not 1e-13"), ("SOFTMAX", 6.0, "5")],
)
def test_scales_that_runtimes_cannot_take_are_refused(name: str, scale: float, why: str) -> None:
    with pytest.raises(GraphError, match=why):
        unary(name, scale, 2.0**-15)


def test_a_missing_bias_that_is_to_be_summed_in_32_bits_is_refused() -> None:
    builder = GraphBuilder("narrow")
    x = builder.input("x", TensorType((1, 4), "int16", Q(1.0)))
    w = builder.constant(np.ones((2, 4), np.int8), name="w", quant=Q(1.0))
    graph = builder.build([builder.add(get_op("FULLY_CONNECTED")(), [x, w, None], quant=Q(9.0))])
    model = decode(write(graph))
    (operator,) = model["subgraphs"][0]["operators"]
    operator["builtin_options"][1]["quantized_bias_type"] = 2  # INT32
    with pytest.raises(UnsupportedModelError, match="summed in 32 bits"):
        read(encode(model))
