"""The int8 kernels for cores without SIMD: on this machine, and on emulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile, load, shrink
from smidgen.backends.c.host import HostModel
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.ops import Op
from smidgen.ops.conv_2d import Conv2D
from smidgen.ops.depthwise_conv_2d import DepthwiseConv2D
from smidgen.ops.fully_connected import FullyConnected
from smidgen.verify.runtimes import run_tflite
from tests.host_batch import FLAGS, HostBatch
from tests.kernels.exact_blocks import run_sanitized
from tests.kernels.layers import RANDOM, extremes, layer

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
# As on a Cortex-M0+, whose products are words.
NO_LONG_MULTIPLY = "-DSM_HAS_LONG_MULTIPLY=0"


def kernels(graph: Graph) -> list[str]:
    return [step.kernel.symbol for step in select_kernels(graph)]


def params(graph: Graph) -> dict[str, Any]:
    (step,) = select_kernels(graph)
    return dict(step.kernel.params(step.site))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RANDOM)
def test_any_layer_is_computed_as_the_reference_does(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [RANDOM[name](rng) for _ in range(25)]
    assert all(kernels(g) == [f"sm_{name}_int8_lanes"] for g in graphs)
    exact = sum(params(g)["shifts"] is not None for g in graphs)
    assert 0 < exact < len(graphs)  # lines, and outputs that have none
    batches = [
        HostBatch(graphs),
        HostBatch(graphs, flags=[*FLAGS, NO_LONG_MULTIPLY]),
    ]
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        (want,) = interpret(graph, x)
        for batch in batches:
            np.testing.assert_array_equal(batch.run(i, x)[0], want, str(graph.nodes[0].op))


def test_what_24_bits_cannot_hold_goes_to_the_plain_kernel() -> None:
    rng = np.random.default_rng(2)
    weights = np.full((3, 16, 16, 256), -128, np.int8)
    weights[0], weights[2] = 127, 0
    shape = (1, 17, 16, 256)
    graph = layer(rng, Conv2D(), shape, weights.shape, weights=weights, spread=0.01)
    assert kernels(graph) == ["sm_conv_2d_int8"]
    weights[:, ::2] = 0  # 8 * 16 * 256 * 128 * 128 is 2^29
    assert kernels(layer(rng, Conv2D(), shape, weights.shape, weights=weights)) == [
        "sm_conv_2d_int8"
    ]
    few = weights[:, :2, :15].copy()
    few[:, 1] = few[:, 1] // 16  # just below 2^23
    graph = layer(rng, Conv2D(), shape, few.shape, weights=few, spread=0.1)
    assert kernels(graph) == ["sm_conv_2d_int8_lanes"]
    x = extremes(rng, graph)
    np.testing.assert_array_equal(HostBatch([graph]).run(0, x)[0], interpret(graph, x)[0])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RANDOM)
def test_no_byte_beyond_input_output_and_scratch_is_touched(
    name: str, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = RANDOM[name](rng)
    x = extremes(rng, graph)[:1]
    (want,) = interpret(graph, x)
    for got in run_sanitized(graph, [x], tmp_path, features=[]):
        np.testing.assert_array_equal(got, want)


CASES: dict[str, tuple[Op, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "pointwise": (Conv2D(fused_activation_function="RELU"), (1, 5, 5, 21), (10, 1, 1, 21), {}),
    "3x3 without line": (Conv2D(padding="SAME"), (1, 7, 6, 5), (7, 3, 3, 5), {"points": (3, -9)}),
    "depthwise": (
        DepthwiseConv2D(padding="SAME", fused_activation_function="RELU6"),
        (1, 9, 6, 11),
        (1, 3, 3, 11),
        {},
    ),
    "strided depthwise": (
        DepthwiseConv2D(2, 2, "SAME", "RELU"),
        (1, 9, 6, 5),
        (1, 2, 5, 10),
        {"points": (-128, -128)},
    ),
    "fully connected": (FullyConnected("RELU"), (1, 61), (14, 61), {"per_channel": False}),
    "long row": (FullyConnected(), (1, 64), (7, 64), {"points": (4, 5)}),
}


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("board", "toolchain"),
    [("raspberry-pi-pico", "gcc"), ("raspberry-pi-pico", "zig"), ("esp32-c3-devkitm-1", "zig")],
)
@pytest.mark.parametrize("optimize", ["balanced", "flash"])
def test_on_emulated_cores(board: str, toolchain: str, optimize: str) -> None:
    rng = np.random.default_rng(3)
    for case, (op, x_shape, w_shape, more) in CASES.items():
        graph = layer(rng, op, x_shape, w_shape, **more)
        x = extremes(rng, graph)
        run = compile(graph, board, toolchain=toolchain, optimize=optimize).run(x)
        np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0], case)


MODELS = {
    "kws_ref_model_int8": 11_000_000,
    "vww_96_int8": 21_000_000,
    "pretrainedResnet_quant": 37_500_000,
    "ad01_int8": 930_000,
}


@pytest.mark.emulator
@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("file", MODELS)
def test_real_models_give_what_tflm_gives(file: str, shared: Path) -> None:
    data = (shared / "models" / "mlperf_tiny" / f"{file}.tflite").read_bytes()
    graph = load(shared / "models" / "mlperf_tiny" / f"{file}.tflite")
    rng = np.random.default_rng(4)
    x = rng.integers(-128, 128, (2, *graph.input_types[0].shape[1:])).astype(np.int8)
    (want,) = run_tflite("tflm", data, [x]).outputs
    np.testing.assert_array_equal(HostModel(graph).run(x)[0], want)
    small, _ = shrink(graph)
    run = compile(small, "raspberry-pi-pico").run(x)
    np.testing.assert_array_equal(run.outputs[0], want)
    assert run.instructions is not None and run.instructions <= MODELS[file]
