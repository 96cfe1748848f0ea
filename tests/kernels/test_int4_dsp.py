"""int4 weights on cores with DSP instructions: on this machine, and on emulated ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from smidgen import compile
from smidgen.interpreter import interpret
from smidgen.ir import Graph, QuantParams
from tests.host_batch import HostBatch
from tests.kernels.test_conv_dsp import CASES, extremes, kernels, layer, random_layer

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


def check(graphs: list[Graph], rng: np.random.Generator) -> None:
    batch = HostBatch(graphs, features=["dsp"])
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        (want,) = interpret(graph, x)
        np.testing.assert_array_equal(batch.run(i, x)[0], want, str(graph.nodes[0].op))


@pytest.mark.parametrize("seed", range(2))
def test_any_convolution_is_computed_as_the_reference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [four_bits(rng, random_layer(rng)) for _ in range(40)]
    assert sum(kernels(g) == {"sm_conv_2d_int4_paired"} for g in graphs) > 20
    check(graphs, rng)


def test_every_number_of_channels() -> None:
    rng = np.random.default_rng(7)
    graphs = [layer(rng, (3, 3, c), (68 - c, 1, 1), activation="RELU") for c in range(1, 68)]
    graphs += [layer(rng, (4, 5, c), (c, 3, 3)) for c in (*range(1, 14), 31, 32, 33)]
    check([four_bits(rng, graph) for graph in graphs], rng)


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
    graphs = [four_bits(rng, layer(rng, *shape, spread=0.2), w) for w in (small, large, other)]
    symbols = [kernels(graph) == {"sm_conv_2d_int4_paired"} for graph in graphs]
    assert symbols == [True, False, True]
    check(graphs, rng)


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
