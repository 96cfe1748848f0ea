"""DEPTHWISE_CONV_2D for cores with DSP instructions: on this machine, and on emulated ones."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile, write_tflite
from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import Step, select_kernel
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, Node, QuantParams, TensorType
from smidgen.ops import _depthwise
from smidgen.ops.depthwise_conv_2d import DepthwiseConv2D
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
ZERO_POINTS = (-128, -128, -128, 127, 0, -7, 83)
DSP = {f"sm_depthwise_conv_2d_int8_{core.name}" for core in _depthwise.CORES}
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def layer(
    rng: np.random.Generator,
    x_shape: tuple[int, int, int],
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str = "RELU",
    bias: bool = True,
    spread: float = 1.0,
    points: tuple[int, int] = (-128, -128),
    copies: int = 1,
) -> Graph:
    """A graph of one layer, x_shape (h, w, c), of which each has so many `copies` in a row.

    Outputs cover int8 at a spread of 1; at a large one nearly all saturate.
    """
    channels = x_shape[2]
    builder = GraphBuilder("layer")
    value = builder.input(
        "x", TensorType((1, *x_shape), "int8", QuantParams.per_tensor(0.1, points[0]))
    )
    out_scale = 0.02 if activation != "RELU_N1_TO_1" else 0.01
    in_scale = 0.1
    for _ in range(copies):
        w = rng.integers(-128, 128, (1, *kernel, channels)).astype(np.int8)
        fan_in = kernel[0] * kernel[1]
        scales = rng.uniform(0.3, 3.0, channels) * spread * out_scale / np.sqrt(fan_in) / 5
        scales *= 0.1 / in_scale
        if channels > 1:
            quant = QuantParams.per_channel(scales, 3)
            b_quant = QuantParams.per_channel(scales * in_scale, 0)
        else:
            quant = QuantParams.per_tensor(scales[0])
            b_quant = QuantParams.per_tensor(scales[0] * in_scale)
        operands = [value, builder.constant(w, quant=quant)]
        if bias:
            values = rng.integers(-(2**13), 2**13, channels).astype(np.int32)
            operands.append(builder.constant(values, quant=b_quant))
        op = DepthwiseConv2D(*stride, padding, activation)
        value = builder.add(op, operands, quant=QuantParams.per_tensor(out_scale, points[1]))
        in_scale = out_scale
    return builder.build([value])


def random_layer(rng: np.random.Generator) -> Graph:
    """Any size, alignment, zero point, activation and padding."""
    kernels = [(3, 3), (3, 3), (3, 3), (1, 1), (1, 3), (2, 2), (4, 1), (5, 5), (7, 7), (6, 2)]
    kernel = kernels[rng.integers(len(kernels))]
    size = rng.integers(1, 20, 2)
    padding = "SAME" if (size < kernel).any() or rng.random() < 0.7 else "VALID"
    return layer(
        rng,
        (int(size[0]), int(size[1]), int(rng.choice([4, 8, rng.integers(1, 35)]))),
        kernel,
        stride=[(1, 1), (1, 1), (1, 1), (2, 2), (2, 2), (1, 2), (3, 1), (2, 3), (4, 4)][
            rng.integers(9)
        ],
        padding=padding,
        activation=ACTIVATIONS[rng.integers(4)],
        bias=rng.random() < 0.8,
        spread=float(rng.choice([0.01, 1.0, 1.0, 20.0])),
        points=(int(rng.choice(ZERO_POINTS)), int(rng.choice(ZERO_POINTS))),
    )


def extremes(rng: np.random.Generator, graph: Graph) -> Array:
    """Samples (6, h, w, c): noise, and images of the smallest and largest values."""
    shape = graph.input_types[0].shape[1:]
    x = rng.integers(-128, 128, (6, *shape)).astype(np.int8)
    x[3], x[4] = -128, 127
    x[5] = rng.choice(np.array([-128, 127], np.int8), shape)
    return x


def kernel_of(graph: Graph) -> str:
    """The C function of the first node on a core with DSP instructions."""
    return choose(graph, graph.nodes[0]).kernel.symbol


def choose(graph: Graph, node: Node) -> Step:
    return select_kernel(graph, node, features=frozenset({"dsp"}), optimize="speed")


def portable(graph: Graph) -> bool:
    return kernel_of(graph) not in DSP


def check(graphs: list[Graph], rng: np.random.Generator) -> None:
    """The kernels give what the reference gives."""
    fast = HostBatch(graphs, features=["dsp"], optimize="speed")
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        (want,) = interpret(graph, x)
        message = f"{i}: {graph.nodes[0].op} {graph.input_types[0]}"
        np.testing.assert_array_equal(fast.run(i, x)[0], want, message)


@pytest.mark.parametrize("seed", range(3))
def test_any_layer_is_computed_as_the_reference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_layer(rng) for _ in range(30)]
    assert sum(map(portable, graphs)) < 8  # almost all layers are fast
    check(graphs, rng)


def test_every_number_of_channels() -> None:
    rng = np.random.default_rng(7)
    graphs = [layer(rng, (2, 3, c)) for c in range(1, 68)]
    graphs += [layer(rng, (3, 4, c), stride=(2, 2)) for c in range(1, 10)]
    graphs += [layer(rng, (3, 4, c), (2, 5), activation="NONE") for c in range(1, 10)]
    assert not any(map(portable, graphs))
    check(graphs, rng)


def test_every_size_of_image() -> None:
    """Bands and chunks of every number of lines and positions, the last ones smaller."""
    rng = np.random.default_rng(8)
    sizes = [(h, w) for h in (1, 2, 3, 6, 7, 8, 13) for w in (1, 2, 5, 7, 16)]
    sizes += [(w, 40) for w in (3, 19)] + [(57, 5), (40, 6), (31, 7)]
    graphs = [layer(rng, (*size, 4)) for size in sizes]
    graphs += [layer(rng, (*size, 5), stride=(2, 2)) for size in sizes]
    check(graphs, rng)
    first = _depthwise.CORES[0]
    swapped = [_depthwise.tiling(select_kernel(g, g.nodes[0]).site, first).swapped for g in graphs]
    assert any(swapped) and not all(swapped)


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
@pytest.mark.parametrize("point", [-128, -3, 127])
def test_near_ties(activation: str, point: int) -> None:
    """Each channel's outputs lie within a few units of half of an odd number, or run through."""
    count = 500
    rng = np.random.default_rng(1)
    scales = rng.uniform(0.002, 0.004, count).astype(np.float32)
    reals = 0.1 * scales.astype(np.float64) / 0.9
    halves = np.arange(count) % 250 - 125 + 0.5
    bias = (np.round(halves / reals) + np.arange(count) // 250 % 9 - 4).astype(np.int32)
    builder = GraphBuilder("ties")
    x = builder.input("x", TensorType((1, 2, 1, count), "int8", QuantParams.per_tensor(0.1, -7)))
    weights = np.zeros((1, 3, 3, count), np.int8)
    weights[:, 1, 1] = 1
    w = builder.constant(weights, quant=QuantParams.per_channel(scales, 3))
    b = builder.constant(bias, quant=QuantParams.per_channel(scales * np.float32(0.1), 0))
    op = DepthwiseConv2D(1, 1, "SAME", activation)
    graph = builder.build([builder.add(op, [x, w, b], quant=QuantParams.per_tensor(0.9, point))])
    assert not portable(graph)
    values = np.arange(-128, 128, dtype=np.int8).reshape(-1, 2, 1, 1).repeat(count, 3)
    got = HostBatch([graph], features=["dsp"], optimize="speed").run(0, values)[0]
    np.testing.assert_array_equal(got, interpret(graph, values)[0])


def test_what_the_kernels_cannot_compute_goes_to_the_portable_one() -> None:
    rng = np.random.default_rng(2)
    builder = GraphBuilder("dilated")
    x = builder.input("x", TensorType((1, 9, 9, 4), "int8", QuantParams.per_tensor(0.1, 3)))
    w = rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8)
    quant = QuantParams.per_channel([0.01] * 4, 3)
    op = DepthwiseConv2D(1, 1, "SAME", "NONE", 2, 2)
    value = builder.add(
        op, [x, builder.constant(w, quant=quant)], quant=QuantParams.per_tensor(0.5, 0)
    )
    graph = builder.build([value])
    assert portable(graph)
    large = layer(rng, (13, 13, 4), (12, 12))
    assert portable(large)
    check([graph, large], rng)


def test_in_place_and_over_the_input() -> None:
    """One after the other, so that the first may take the input's place: see HostBatch's guards."""
    rng = np.random.default_rng(9)
    graphs = [
        layer(rng, (25, 5, 9), copies=3),
        layer(rng, (6, 6, 7), copies=2),
        layer(rng, (5, 30, 4), (5, 5), copies=2),
        layer(rng, (14, 20, 6), copies=2),
        layer(rng, (20, 9, 6), stride=(2, 1), copies=2),
    ]
    for graph in graphs[:3]:
        arena = plan_arena(graph, [choose(graph, n) for n in graph.nodes])
        scratch = max(c.kernel.scratch_bytes(c.site) for c in arena.calls)
        assert arena.bytes < graph.input_types[0].bytes + scratch + 16  # one image at a time
    for graph in graphs[3:]:
        arena = plan_arena(graph, [choose(graph, n) for n in graph.nodes])
        scratch = max(c.kernel.scratch_bytes(c.site) for c in arena.calls)
        assert arena.bytes < 1.8 * graph.input_types[0].bytes + scratch
    check(graphs, rng)


_EXACT_BLOCKS = """
#include "{name}.c"
#include <stdio.h>
#include <stdlib.h>
int main(void) {{
  int8_t *in = malloc({bytes_in}), *out = malloc({bytes_out});
  void *scratch = malloc({scratch});
  while (fread(in, 1, {bytes_in}, stdin) == {bytes_in}) {{
    {symbol}(&step_0, in, out, scratch);
    fwrite(out, 1, {bytes_out}, stdout);
  }}
  (void){name}_invoke;
  free(in), free(out), free(scratch);
  return 0;
}}
"""


@pytest.mark.parametrize("seed", range(4))
def test_no_byte_beyond_input_output_and_scratch_is_touched(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = random_layer(rng) if seed else layer(rng, (6, 5, 3), (5, 5))
    while portable(graph):
        graph = random_layer(rng)
    batch = HostBatch([graph], features=["dsp"], optimize="speed")
    (call,) = batch.arenas[0].calls
    source = emit(graph, batch.arenas[0], "test")
    write_sources(source, tmp_path)
    x = extremes(rng, graph)
    (want,) = interpret(graph, x)
    text = _EXACT_BLOCKS.format(
        name=source.name,
        symbol=call.kernel.symbol,
        bytes_in=x[0].size,
        bytes_out=want[0].size,
        scratch=call.kernel.scratch_bytes(call.site),
    )
    (tmp_path / "main.c").write_text(text, encoding="utf-8")
    sanitize = "-fsanitize=address,undefined"
    program = [str(tmp_path / "main.c"), "-o", str(tmp_path / "main")]
    subprocess.run(["gcc", "-std=c99", "-g", "-O1", sanitize, *program], check=True)
    done = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8), want.ravel())


CASES: dict[str, dict[str, Any]] = {
    "columns as lines": {"x_shape": (25, 5, 12), "copies": 2},
    "even bands": {"x_shape": (12, 12, 8)},
    "odd bands": {"x_shape": (9, 7, 5), "points": (3, -128)},
    "one line": {"x_shape": (1, 6, 5)},
    "small": {"x_shape": (3, 3, 3)},
    "linear": {"x_shape": (7, 9, 6), "activation": "NONE", "points": (-7, 5)},
    "strided": {"x_shape": (9, 12, 7), "stride": (2, 2)},
    "linear strided": {"x_shape": (9, 10, 5), "stride": (2, 2), "activation": "NONE"},
    "clamped": {"x_shape": (4, 4, 5), "activation": "RELU6", "points": (3, 9)},
    "5x5": {"x_shape": (8, 7, 5), "kernel": (5, 5)},
    "4x1 by threes": {"x_shape": (8, 7, 5), "kernel": (4, 1), "stride": (1, 3)},
}


@pytest.mark.emulator
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("case", CASES)
def test_on_emulated_cores(case: str, toolchain: str) -> None:
    rng = np.random.default_rng(3)
    graph = layer(rng, **CASES[case])
    assert not portable(graph)
    x = extremes(rng, graph)
    board = "nucleo-h743zi2" if case in ("small", "strided") else "nucleo-l4r5zi"
    run = compile(graph, board, toolchain=toolchain, optimize="speed").run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def test_where_flash_counts_layers_share_what_rounds_twice() -> None:
    rng = np.random.default_rng(11)
    graphs = [layer(rng, (9, 9, 8), stride=stride) for stride in ((1, 1), (2, 2))]
    kernels = {
        level: [
            select_kernel(g, g.nodes[0], frozenset({"dsp"}), optimize=level).kernel.symbol
            for g in graphs
        ]
        for level in ("balanced", "flash")
    }
    assert all(symbol.endswith("_exact") for symbol in kernels["flash"])
    assert not any(symbol.endswith("_exact") for symbol in kernels["balanced"])
    batch = HostBatch(graphs, features=["dsp"], optimize="flash")
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0])


@pytest.mark.oracle
def test_tflm_gives_the_same() -> None:
    rng = np.random.default_rng(5)
    graphs = [layer(rng, **case) for case in CASES.values()]
    batch = HostBatch(graphs, features=["dsp"], optimize="speed")
    with RuntimePool(timeout=100) as pool:
        for i, graph in enumerate(graphs):
            x = extremes(rng, graph)
            want = pool.run("tflm", write_tflite(graph), [x]).outputs[0]
            np.testing.assert_array_equal(batch.run(i, x)[0], want)
