"""The int8 kernels for the machine that compiles, with and without its vector instructions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ops.depthwise_conv_2d import DepthwiseConv2D
from tests.host_batch import FLAGS, HostBatch
from tests.kernels.exact_blocks import run_sanitized
from tests.kernels.layers import RANDOM, extremes, layer

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize("flags", [[], ["-march=native"], ["-O2", "-march=native"]])
@pytest.mark.parametrize("name", ["conv_2d", "depthwise_conv_2d"])
def test_any_layer_is_computed_as_the_reference_does(name: str, flags: list[str]) -> None:
    rng = np.random.default_rng(5)
    graphs = [RANDOM[name](rng) for _ in range(25)]
    symbols = [select_kernels(g, features=["host"])[0].kernel.symbol for g in graphs]
    assert symbols.count(f"sm_{name}_int8_host") > 10
    batch = HostBatch(graphs, flags=[*FLAGS, *flags], features=["host"])
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0], str(graph))


@pytest.mark.parametrize("name", ["conv_2d", "depthwise_conv_2d"])
def test_no_byte_beyond_input_output_and_scratch_is_touched(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    graph = RANDOM[name](rng)
    x = extremes(rng, graph)[:1]
    for got in run_sanitized(graph, [x], tmp_path, features=["host"]):
        np.testing.assert_array_equal(got, interpret(graph, x)[0])


def test_what_the_vector_kernels_cannot_do_goes_to_the_plain_ones() -> None:
    rng = np.random.default_rng(6)
    op = DepthwiseConv2D(padding="SAME")
    graphs = [
        layer(rng, op, (1, 5, 5, 3), (1, 3, 3, 6)),  # two outputs for each input channel
        layer(rng, op, (1, 5, 5, 3), (1, 3, 3, 3), spread=100.0),  # shifts to the left
    ]
    batch = HostBatch(graphs, features=["host"])
    for i, graph in enumerate(graphs):
        (step,) = select_kernels(graph, features=["host"])
        assert step.kernel.symbol == "sm_depthwise_conv_2d_int8"
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0])
