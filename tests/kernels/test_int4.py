"""int4 weights on cores with DSP instructions and without: on this machine and emulated ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from smidgen import compile
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from tests.host_batch import HostBatch
from tests.kernels import test_depthwise_dsp as depthwise
from tests.kernels.conv_layers import extremes, kernels, layer, random_layer
from tests.kernels.test_conv_dsp import CASES
from tests.ops import test_near_ties as near_ties

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]


def four_bits(rng: np.random.Generator, graph: Graph, weights: Array | None = None) -> Graph:
    """The layer with int4 weights, -8 among them; outputs cover int8 as before."""
    (node,) = graph.nodes
    assert node.inputs[1] is not None
    value = graph.values[node.inputs[1]]
    quant = value.type.quant
    assert quant is not None
    quant = QuantParams(tuple(16 * s for s in quant.scales), quant.zero_points, quant.axis)
    if weights is None:
        weights = rng.integers(-8, 8, value.type.shape).astype(np.int8)
    type = dataclasses.replace(value.type, dtype="int4", quant=quant)
    values = {**graph.values, value.name: dataclasses.replace(value, type=type, data=weights)}
    for name in node.inputs[2:]:
        assert name is not None
        bias = values[name]
        assert bias.data is not None
        values[name] = dataclasses.replace(bias, data=bias.data // 16)
    return dataclasses.replace(graph, values=values)


def check(graphs: list[Graph], rng: np.random.Generator, *features: str) -> None:
    batch = HostBatch(graphs, features=features)
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        (want,) = interpret(graph, x)
        np.testing.assert_array_equal(batch.run(i, x)[0], want, str(graph.nodes[0].op))


@pytest.mark.parametrize("seed", range(2))
def test_any_convolution_is_computed_as_the_reference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [four_bits(rng, random_layer(rng)) for _ in range(40)]
    assert sum(kernels(g) == {"sm_conv_2d_int4_paired"} for g in graphs) > 20
    check(graphs, rng, "dsp")


def test_every_number_of_channels() -> None:
    rng = np.random.default_rng(7)
    graphs = [layer(rng, (3, 3, c), (68 - c, 1, 1), activation="RELU") for c in range(1, 68)]
    graphs += [layer(rng, (4, 5, c), (c, 3, 3)) for c in (*range(1, 14), 31, 32, 33)]
    check([four_bits(rng, graph) for graph in graphs], rng, "dsp")


def test_a_stream_takes_half_a_byte_for_each_weight() -> None:
    rng = np.random.default_rng(8)
    graph = layer(rng, (4, 4, 64), (32, 3, 3))
    sizes = []
    for form in (graph, four_bits(rng, graph)):
        (call,) = HostBatch([form], features=["dsp"]).arenas[0].calls
        params = call.kernel.params(call.site)
        stream, exact = params["stream"], params["exact"]
        assert isinstance(stream, np.ndarray) and isinstance(exact, int)
        sizes.append(stream.nbytes - 32 // 4 * (32 + 4 * exact))
    assert sizes == [32 * 576, 32 * 576 // 2]


def test_what_twenty_bits_cannot_hold_goes_to_the_portable_kernel() -> None:
    rng = np.random.default_rng(9)
    small = np.zeros((4, 3, 3, 61), np.int8)
    small[:, :, :, :56] = -8  # 504 * 8 * 128 is below 2^19, 513 * 8 * 128 is not
    large = small.copy()
    large[3, :, :, 56] = -8
    other = np.roll(large, 1, axis=0)  # any channel but the fourth may be larger
    shape = (4, 4, 61), (4, 3, 3)
    made = (layer(rng, *shape, spread=0.2, points=(0, 0)) for _ in range(3))  # outputs vary
    graphs = [
        four_bits(rng, graph, w) for graph, w in zip(made, (small, large, other), strict=True)
    ]
    symbols = [kernels(graph) == {"sm_conv_2d_int4_paired"} for graph in graphs]
    assert symbols == [True, False, True]
    check(graphs, rng, "dsp")


@pytest.mark.parametrize("name", ["CONV_2D", "FULLY_CONNECTED"])
def test_near_ties(name: str) -> None:
    scales = np.random.default_rng(14).uniform(0.002, 0.004, 2250).astype(np.float32)
    graph, _ = near_ties.weighted(
        name, 50 * scales, 3 if name == "DEPTHWISE_CONV_2D" else 0, "int4"
    )
    assert not kernels(graph) & {"sm_conv_2d_int4", "sm_depthwise_conv_2d_int4"}
    x = np.arange(-128, 128, dtype=np.int8).reshape(-1, *graph.input_types[0].shape[1:])
    got = HostBatch([graph], features=["dsp"]).run(0, x)[0]
    np.testing.assert_array_equal(got, interpret(graph, x)[0])


@pytest.mark.emulator
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("case", CASES)
def test_convolutions_on_emulated_cores(case: str, toolchain: str) -> None:
    rng = np.random.default_rng(3)
    graph = four_bits(rng, layer(rng, **CASES[case]))
    assert kernels(graph) == {"sm_conv_2d_int4_paired"}
    x = extremes(rng, graph)
    run = compile(graph, "nucleo-l4r5zi", toolchain=toolchain, optimize="balanced").run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


@pytest.mark.emulator
@pytest.mark.parametrize("optimize", ["flash", "speed"])
def test_convolutions_however_they_are_compiled(optimize: str) -> None:
    rng = np.random.default_rng(4)
    graph = four_bits(rng, layer(rng, (7, 7, 31), (22, 3, 3), points=(-3, 7)))
    x = extremes(rng, graph)
    run = compile(graph, "nucleo-h743zi2", optimize=optimize).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def test_depthwise_layers() -> None:
    rng = np.random.default_rng(10)
    graphs = [four_bits(rng, depthwise.random_layer(rng)) for _ in range(40)]
    graphs += [four_bits(rng, depthwise.layer(rng, (5, 6, c))) for c in range(1, 20)]
    portable = [kernels(g) == {"sm_depthwise_conv_2d_int4"} for g in graphs]
    assert sum(portable) < 20
    check(graphs, rng, "dsp")


@pytest.mark.emulator
@pytest.mark.parametrize("case", depthwise.CASES)
def test_depthwise_layers_on_emulated_cores(case: str) -> None:
    rng = np.random.default_rng(11)
    graph = four_bits(rng, depthwise.layer(rng, **{**depthwise.CASES[case], "copies": 1}))
    x = extremes(rng, graph)
    run = compile(graph, "nucleo-l4r5zi").run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def dense(
    rng: np.random.Generator,
    inputs: int,
    outputs: int,
    *,
    rows: int = 1,
    per_channel: bool = False,
    activation: str = "NONE",
    weights: Array | None = None,
) -> Graph:
    """A graph of one FULLY_CONNECTED with int4 weights; outputs cover int8."""
    builder = GraphBuilder("dense")
    x = builder.input("x", TensorType((1, rows, inputs), "int8", QuantParams.per_tensor(0.1, -7)))
    scales = rng.uniform(0.5, 2, outputs) / np.sqrt(inputs) / 150
    quant = QuantParams.per_channel(scales, 0) if per_channel else QuantParams.per_tensor(scales[0])
    real = 0.1 * np.asarray(quant.scales)
    b_quant = (
        QuantParams.per_channel(real, 0) if per_channel else QuantParams.per_tensor(float(real[0]))
    )
    if weights is None:
        weights = rng.integers(-8, 8, (outputs, inputs)).astype(np.int8)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    operands = [x, builder.constant(weights, quant=quant, dtype="int4")]
    operands.append(builder.constant(bias, quant=b_quant))
    op = get_op("FULLY_CONNECTED")(activation, True)
    return builder.build([builder.add(op, operands, quant=QuantParams.per_tensor(0.02, 3))])


def dense_layers(rng: np.random.Generator) -> list[Graph]:
    """Any depth, beyond what is summed up at a time as well, and any number of outputs."""
    sizes = [(i, 7) for i in (*range(1, 40), 479, 480, 481, 483, 960, 1001)]
    sizes += [(33, outputs) for outputs in range(1, 9)]
    graphs = [
        dense(rng, *size, per_channel=size[1] > 1 and i % 2 > 0, rows=1 + i % 3 // 2)
        for i, size in enumerate(sizes)
    ]
    extreme = np.full((5, 2000), -8, np.int8)
    graphs += [dense(rng, 2000, 5, weights=sign * extreme // 8 * 7) for sign in (1, -1)]
    return [*graphs, dense(rng, 2000, 5, weights=extreme), dense(rng, 40, 9, activation="RELU")]


def test_fully_connected_layers() -> None:
    rng = np.random.default_rng(12)
    graphs = dense_layers(rng)
    assert all(kernels(graph) == {"sm_fully_connected_int4_dsp"} for graph in graphs)
    check(graphs, rng, "dsp")


@pytest.mark.emulator
@pytest.mark.parametrize("optimize", ["flash", "balanced", "speed"])
def test_fully_connected_layers_on_emulated_cores(optimize: str) -> None:
    rng = np.random.default_rng(13)
    graph = dense(rng, 491, 22, per_channel=True, rows=2)
    x = extremes(rng, graph)
    run = compile(graph, "nucleo-l4r5zi", optimize=optimize).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def test_convolutions_without_simd() -> None:
    rng = np.random.default_rng(15)
    graphs = [four_bits(rng, random_layer(rng)) for _ in range(30)]
    graphs += [four_bits(rng, layer(rng, (3, 3, c), (c, 1, 1))) for c in range(1, 18)]
    symbols = [select_kernels(graph)[0].kernel.symbol for graph in graphs]
    assert symbols.count("sm_conv_2d_int4_lanes") > 35
    check(graphs, rng)


@pytest.mark.emulator
@pytest.mark.parametrize("board", ["nucleo-g071rb", "esp32-c3-devkitm-1"])
@pytest.mark.parametrize("points", [(-128, -128), (-3, 7)])
def test_convolutions_on_emulated_cores_without_simd(board: str, points: tuple[int, int]) -> None:
    rng = np.random.default_rng(16)
    graph = four_bits(rng, layer(rng, (5, 6, 7), (9, 3, 3), points=points))
    x = extremes(rng, graph)
    firmware = compile(graph, board)
    assert [c.kernel.symbol for c in firmware.arena.calls] == ["sm_conv_2d_int4_lanes"]
    np.testing.assert_array_equal(firmware.run(x).outputs[0], interpret(graph, x)[0])
