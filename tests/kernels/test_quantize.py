"""QUANTIZE of float32: quotients by multiplication, next to ties and out of every range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from tests.host_batch import HostBatch

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
SIZE = 4096
SCALES = (0.0173, 1.0, 0.5, 1 / 255, 3.0, 1.9999999, 1e-5, 1e-30, 3e-36, 1e-40, 1e30, 3e35, 3e38)


def layer(scale: float, zero_point: int) -> Graph:
    builder = GraphBuilder("quantize")
    x = builder.input("x", TensorType((1, SIZE), "float32"))
    quant = QuantParams.per_tensor(scale, zero_point)
    return builder.build([builder.add(get_op("QUANTIZE")(), [x], quant=quant)])


def hard(rng: np.random.Generator, graph: Graph) -> Array:
    """Around every tie and whole number, float32 neighbours and farther; and any bits at all."""
    scale = np.float32(graph.type(graph.outputs[0]).quant.scale)  # type: ignore[union-attr]
    with np.errstate(over="ignore", under="ignore"):
        middle = (np.arange(-600, 601) / np.float32(2)).astype(np.float32) * scale
        away = middle * (1 + rng.uniform(-(2.0**-12), 2.0**-12, middle.size)).astype(np.float32)
        near = [middle, *(np.nextafter(middle, np.float32(e)) for e in (-np.inf, np.inf)), away]
        noise = (rng.normal(0, 60, 2 * SIZE) * scale).astype(np.float32)
    anything = rng.integers(0, 1 << 32, 2 * SIZE, np.uint32).view(np.float32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3e38], np.float32)
    x = np.concatenate([*near, noise, anything, special])
    return np.resize(x, (-(-x.size // SIZE), SIZE))


@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_any_float_at_any_scale(zero_point: int) -> None:
    rng = np.random.default_rng(1)
    graphs = [layer(scale, zero_point) for scale in SCALES]
    batch = HostBatch(graphs)
    for i, graph in enumerate(graphs):
        x = hard(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0], f"{SCALES[i]}")


@pytest.mark.emulator
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "raspberry-pi-pico"])
def test_on_emulated_cores(board: str) -> None:
    graph = layer(0.0173, -3)
    x = hard(np.random.default_rng(2), graph)[:2]
    run = smidgen.compile(graph, board).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])
