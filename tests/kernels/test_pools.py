"""Pools and means: on this machine, with and without DSP instructions, and emulated."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.tflite.writer import write
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import Op, get_op
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch
from tests.kernels.exact_blocks import run_sanitized

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
KERNELS = Path(smidgen.__file__).parent / "kernels"


def layer(op: Op, shape: tuple[int, int, int], out: QuantParams | None = None) -> Graph:
    """A graph of one node; the image's quantization, and the output's unless given, is the same."""
    quant = Q(0.05, -9)
    builder = GraphBuilder("pool")
    x = builder.input("x", TensorType((1, *shape), "int8", quant))
    return builder.build([builder.add(op, [x], quant=out or quant)])


def pool(
    name: str,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: str = "VALID",
    activation: str = "NONE",
) -> Op:
    op: Op = get_op(name)(*stride, *kernel, padding, activation)
    return op


def images(rng: np.random.Generator, graph: Graph) -> Array:
    """Noise, the smallest, the largest and a mixture of both values; (5, h, w, c)."""
    shape = graph.input_types[0].shape[1:]
    x = rng.integers(-128, 128, (5, *shape)).astype(np.int8)
    x[2], x[3] = -128, 127
    x[4] = rng.choice(np.array([-128, 127], np.int8), shape)
    return x


def kernels(graphs: list[Graph], *features: str) -> list[str]:
    return [select_kernels(g, features=features)[0].kernel.symbol for g in graphs]


def check(graphs: list[Graph], seed: int, features: tuple[list[str], ...] = ([], ["dsp"])) -> None:
    for chosen in features:
        rng = np.random.default_rng(seed)
        batch = HostBatch(graphs, features=chosen)
        for i, graph in enumerate(graphs):
            x = images(rng, graph)
            got, want = batch.run(i, x)[0], interpret(graph, x)[0]
            np.testing.assert_array_equal(got, want, f"{chosen} {graph}")


@pytest.mark.parametrize("name", POOLS)
def test_every_number_of_channels(name: str) -> None:
    graphs = [layer(pool(name, (2, 3), (2, 1), "SAME"), (3, 4, c)) for c in range(1, 68)]
    assert [k.endswith("_dsp") for k in kernels(graphs, "dsp")] == [False] * 3 + [True] * 64
    check(graphs, 1)


@pytest.mark.parametrize("name", POOLS)
def test_any_window(name: str) -> None:
    rng = np.random.default_rng(2)
    graphs = []
    for _ in range(60):
        size, kernel = rng.integers(1, 13, 2), rng.integers(1, 6, 2)
        padding = "SAME" if (kernel > size).any() or rng.random() < 0.6 else "VALID"
        stride = rng.integers(1, 4, 2)
        activation = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")[rng.integers(4)]
        h, w, c = int(size[0]), int(size[1]), int(rng.integers(1, 40))
        op = pool(
            name,
            (int(kernel[0]), int(kernel[1])),
            (int(stride[0]), int(stride[1])),
            padding,
            activation,
        )
        graphs.append(layer(op, (h, w, c)))
    check(graphs, 3)


def test_large_windows() -> None:
    """Up to 256 positions fit into 16 bits; sums of the smallest number fill them."""
    graphs = [layer(pool("AVERAGE_POOL_2D", k), (*k, 21)) for k in ((16, 16), (15, 17), (1, 256))]
    beyond = [layer(pool("AVERAGE_POOL_2D", k), (*k, 21)) for k in ((1, 257), (31, 33))]
    graphs += [layer(pool("MAX_POOL_2D", k), (*k, 21)) for k in ((16, 16), (31, 33))]
    assert all(k.endswith("_dsp") for k in kernels(graphs, "dsp"))
    assert kernels(beyond, "dsp") == ["sm_average_pool_2d_int8"] * 2
    check([*graphs, *beyond], 4)


_MEANS = """
#include "pool_mean.h"
#include <stdio.h>
int main(void) {
  for (int32_t count = 1; count <= SM_POOL_MEAN_LIMIT; ++count) {
    const sm_pool_mean mean = sm_pool_mean_over(count);
    for (int32_t sum = -128 * count; sum <= 127 * count; ++sum) {
      const int32_t half = sum > 0 ? count / 2 : -(count / 2);
      if (sm_pool_mean_of(&mean, sum) != (sum + half) / count) {
        printf("%d of %d: %d\\n", (int)sum, (int)count, sm_pool_mean_of(&mean, sum));
        return 1;
      }
    }
  }
  return 0;
}
"""


def test_the_multiplication_is_the_division_for_every_sum(tmp_path: Path) -> None:
    (tmp_path / "means.c").write_text(_MEANS, encoding="utf-8")
    flags = ["-std=c99", "-O2", "-fsanitize=undefined", "-fno-sanitize-recover", f"-I{KERNELS}"]
    command = ["gcc", *flags, str(tmp_path / "means.c"), "-o", str(tmp_path / "means")]
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "means"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*POOLS, "MEAN"])
def test_near_ties(name: str, pool_of_runtimes: RuntimePool) -> None:
    """Every sum of two numbers, of which every other one is a tie, 16 channels wide."""
    values = np.arange(-128, 128)
    pairs = np.stack(np.meshgrid(values, values)).reshape(1, 2, -1, 16).astype(np.int8)
    if name == "MEAN":
        pairs = np.concatenate([pairs, pairs], 1)
        quants = Q(0.05, -9), Q(0.1, -128), Q(0.0449, 127)
        graphs = [layer(get_op("MEAN")((1,)), pairs.shape[1:], out) for out in quants]
    else:
        ops = [pool(name, (2, 1), activation=a) for a in ("NONE", "RELU6")]
        graphs = [layer(op, pairs.shape[1:]) for op in ops]
    assert all(k.endswith("_dsp") for k in kernels(graphs, "dsp"))
    batches = [HostBatch(graphs, features=f) for f in ([], ["dsp"])]
    for i, graph in enumerate(graphs):
        (want,) = interpret(graph, pairs)
        for batch in batches:
            np.testing.assert_array_equal(batch.run(i, pairs)[0], want)
        got = pool_of_runtimes.run("tflm", write(graph), [pairs]).outputs[0]
        np.testing.assert_array_equal(got, want)


@pytest.fixture
def pool_of_runtimes(pool: RuntimePool) -> RuntimePool:
    """The fixture `pool` by a name that is not that of a function here."""
    return pool


def test_means_of_every_number_of_channels_and_any_count() -> None:
    rng = np.random.default_rng(5)
    graphs = [
        layer(get_op("MEAN")((1, 2)), (2, 3, c), Q(0.04, int(rng.integers(-128, 128))))
        for c in range(1, 68)
    ]
    # 256 numbers fit into 16 bits: one less, one more, and over rows that end in between.
    many = [((15, 17), (1, 2)), ((257, 1), (1,)), ((31, 33), (1, 2)), ((300, 2), (1,))]
    many += [((5, 300), (2,)), ((5, 3), (3,))]
    graphs += [
        layer(get_op("MEAN")(axes), (*size, c), Q(0.04, 3)) for size, axes in many for c in (5, 21)
    ]
    symbols = kernels(graphs, "dsp")
    assert sum(s == "sm_mean_int8_dsp" for s in symbols) >= 64 + 10
    check(graphs, 6)


CASES: dict[str, tuple[Op, tuple[int, int, int]]] = {
    "average": (pool("AVERAGE_POOL_2D", (3, 2), (1, 2), "SAME", "RELU6"), (4, 5, 23)),
    "global average": (pool("AVERAGE_POOL_2D", (4, 5)), (4, 5, 7)),
    "max": (pool("MAX_POOL_2D", (3, 2), (1, 2), "SAME", "RELU6"), (4, 5, 23)),
    "max of few": (pool("MAX_POOL_2D", (2, 2), (2, 2)), (4, 6, 3)),
    "average of few": (pool("AVERAGE_POOL_2D", (2, 2), (2, 2)), (4, 6, 3)),
    "mean": (get_op("MEAN")((1, 2)), (3, 4, 22)),
}


@pytest.mark.parametrize("features", [[], ["dsp"]])
@pytest.mark.parametrize("case", CASES)
def test_no_byte_beyond_input_and_output_is_touched(
    case: str, features: list[str], tmp_path: Path
) -> None:
    graph = layer(*CASES[case])
    x = images(np.random.default_rng(7), graph)[:1]
    (want,) = interpret(graph, x)
    for got in run_sanitized(graph, [x], tmp_path, features=features):
        np.testing.assert_array_equal(got, want)


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("board", "toolchain"),
    [
        ("nucleo-l4r5zi", "gcc"),
        ("nucleo-l4r5zi", "zig"),
        ("nucleo-h743zi2", "gcc"),
        ("raspberry-pi-pico", "gcc"),
    ],
)
def test_on_emulated_cores(board: str, toolchain: str) -> None:
    builder = GraphBuilder("pools")
    quant, outputs, x = Q(0.05, -9), [], []
    rng = np.random.default_rng(8)
    for i, (op, shape) in enumerate(CASES.values()):
        name = builder.input(f"x{i}", TensorType((1, *shape), "int8", quant))
        outputs.append(builder.add(op, [name], quant=quant))
        x.append(rng.integers(-128, 128, (2, *shape)).astype(np.int8))
    graph = builder.build(outputs)
    run = smidgen.compile(graph, board, toolchain=toolchain).run(x)
    for got, want in zip(run.outputs, interpret(graph, x), strict=True):
        np.testing.assert_array_equal(got, want)
