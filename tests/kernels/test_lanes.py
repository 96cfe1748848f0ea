"""The int8 kernels for cores without SIMD: on this machine, and on emulated ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile, load, shrink
from smidgen.backends.c.emit import emit
from smidgen.backends.c.host import HostModel
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import Op
from smidgen.ops.conv_2d import Conv2D
from smidgen.ops.depthwise_conv_2d import DepthwiseConv2D
from smidgen.ops.fully_connected import FullyConnected
from smidgen.verify.runtimes import run_tflite
from tests.host_batch import FLAGS, HostBatch

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
ZERO_POINTS = (-128, -128, -128, 127, 0, -7, 83)
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
# As on a Cortex-M0+, whose products are words.
NO_LONG_MULTIPLY = "-DSM_HAS_LONG_MULTIPLY=0"


def layer(
    rng: np.random.Generator,
    op: Op,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    *,
    points: tuple[int, int] = (-128, -128),
    bias: bool = True,
    spread: float = 1.0,
    per_channel: bool = True,
    weights: Array | None = None,
) -> Graph:
    """A graph of one operator, whose outputs cover int8 at a spread of 1."""
    axis = 3 if isinstance(op, DepthwiseConv2D) else 0
    channels = w_shape[axis]
    fan_in = int(np.prod(w_shape)) // channels
    out_scale = 0.01 if getattr(op, "fused_activation_function", "") == "RELU_N1_TO_1" else 0.02
    scales = rng.uniform(0.3, 3.0, channels) * spread * out_scale / np.sqrt(fan_in) / 5
    if not per_channel or channels == 1:
        quant = QuantParams.per_tensor(scales[0])
        bias_quant = QuantParams.per_tensor(scales[0] * 0.1)
    else:
        quant = QuantParams.per_channel(scales, axis)
        bias_quant = QuantParams.per_channel(scales * 0.1, 0)
    w = rng.integers(-128, 128, w_shape).astype(np.int8) if weights is None else weights
    builder = GraphBuilder("layer")
    x = builder.input("x", TensorType(x_shape, "int8", QuantParams.per_tensor(0.1, points[0])))
    operands = [x, builder.constant(w, quant=quant)]
    if bias:
        values = rng.integers(-(2**13), 2**13, channels).astype(np.int32)
        operands.append(builder.constant(values, quant=bias_quant))
    return builder.build(
        [builder.add(op, operands, quant=QuantParams.per_tensor(out_scale, points[1]))]
    )


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "points": (int(rng.choice(ZERO_POINTS)), int(rng.choice(ZERO_POINTS))),
        "bias": bool(rng.random() < 0.8),
        "spread": float(rng.choice([0.01, 1.0, 1.0, 20.0])),
    }


def window(rng: np.random.Generator, *, dilate: bool) -> tuple[Any, tuple[int, int], list[int]]:
    """An operator's window attributes, its kernel and the size of an image it fits into."""
    kernel = [(1, 1), (3, 3), (3, 3), (1, 3), (2, 2), (5, 4), (10, 4)][rng.integers(7)]
    stride = [(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)][rng.integers(5)]
    dilation = [(1, 1), (1, 1), (2, 1), (2, 3)][rng.integers(4 if dilate else 3)]
    size = rng.integers(1, 14, 2).tolist()
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    small = any(s < e for s, e in zip(size, extent, strict=True))
    padding = "SAME" if small or rng.random() < 0.7 else "VALID"
    return (*stride, padding, ACTIVATIONS[rng.integers(4)], *dilation), kernel, size


def random_conv(rng: np.random.Generator) -> Graph:
    attributes, kernel, size = window(rng, dilate=True)
    channels = int(rng.choice([1, 2, 3, 4, 8, 16, rng.integers(1, 40)]))
    weights = (int(rng.integers(1, 40)), *kernel, channels)
    return layer(rng, Conv2D(*attributes), (1, *size, channels), weights, **drawn(rng))


def random_depthwise(rng: np.random.Generator) -> Graph:
    attributes, kernel, size = window(rng, dilate=False)
    channels, multiplier = int(rng.integers(1, 30)), int(rng.choice([1, 1, 1, 2, 3]))
    weights = (1, *kernel, channels * multiplier)
    return layer(rng, DepthwiseConv2D(*attributes), (1, *size, channels), weights, **drawn(rng))


def random_fully_connected(rng: np.random.Generator) -> Graph:
    rows, inputs, outputs = (int(rng.integers(1, n)) for n in (4, 70, 40))
    op = FullyConnected(ACTIVATIONS[rng.integers(4)])
    kinds = {**drawn(rng), "per_channel": bool(rng.random() < 0.4)}
    return layer(rng, op, (1, rows * inputs), (outputs, inputs), **kinds)


RANDOM: dict[str, Callable[[np.random.Generator], Graph]] = {
    "conv_2d": random_conv,
    "depthwise_conv_2d": random_depthwise,
    "fully_connected": random_fully_connected,
}


def extremes(rng: np.random.Generator, graph: Graph) -> Array:
    """Samples (5, ...): noise, and images of the smallest and largest values."""
    shape = graph.input_types[0].shape[1:]
    x = rng.integers(-128, 128, (5, *shape)).astype(np.int8)
    x[2], x[3] = -128, 127
    x[4] = rng.choice(np.array([-128, 127], np.int8), shape)
    return x


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
        HostBatch(graphs, features=["host"]),
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


_EXACT_BLOCKS = """
#include "{name}.c"
#include <stdio.h>
#include <stdlib.h>
int main(void) {{
  int8_t *in = malloc({bytes_in}), *out = malloc({bytes_out});
  void *scratch = malloc({scratch} + 1);
  while (fread(in, 1, {bytes_in}, stdin) == {bytes_in}) {{
    {symbol}(&step_0, in, out{argument});
    fwrite(out, 1, {bytes_out}, stdout);
  }}
  (void){name}_invoke;
  free(in), free(out), free(scratch);
  return 0;
}}
"""


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RANDOM)
def test_no_byte_beyond_input_output_and_scratch_is_touched(
    name: str, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = RANDOM[name](rng)
    batch = HostBatch([graph])
    (call,) = batch.arenas[0].calls
    source = emit(graph, batch.arenas[0], "test")
    write_sources(source, tmp_path)
    x = extremes(rng, graph)
    (want,) = interpret(graph, x)
    scratch = call.kernel.scratch_bytes(call.site)
    text = _EXACT_BLOCKS.format(
        name=source.name,
        symbol=call.kernel.symbol,
        bytes_in=x[0].size,
        bytes_out=want.size // len(x),
        scratch=scratch,
        argument=", scratch" if scratch else "",
    )
    (tmp_path / "main.c").write_text(text, encoding="utf-8")
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    program = [str(tmp_path / "main.c"), "-o", str(tmp_path / "main")]
    subprocess.run(["gcc", "-std=c99", "-g", "-O1", *sanitize, *program], check=True)
    done = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8), want.ravel())


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
    "kws_ref_model_int8": 12_000_000,
    "vww_96_int8": 22_000_000,
    "pretrainedResnet_quant": 38_000_000,
    "ad01_int8": 1_000_000,
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
