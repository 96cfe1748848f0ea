"""Kernels that move or look up bytes: runs of every length, at every alignment."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import Op, get_op
from tests.host_batch import HostBatch
from tests.kernels.exact_blocks import run_sanitized

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor(0.05, -9)
KERNELS = Path(smidgen.__file__).parent / "kernels"

_COPIES = """
#include "bytes.h"
#include <stdio.h>
enum { MOST = 70, ROOM = 128 };
static uint8_t block[ROOM], want[ROOM];
static int same(const char *what, int n, int at, int apart) {
  if (memcmp(block, want, ROOM) != 0) {
    printf("%s %d at %d, %d apart\\n", what, n, at, apart);
    return 0;
  }
  return 1;
}
static void begin(void) {
  for (int i = 0; i < ROOM; ++i) {
    block[i] = want[i] = (uint8_t)(i * 37 + 11);
  }
}
int main(void) {
  for (int n = 0; n <= MOST; ++n) {
    for (int at = 4; at < 8; ++at) {
      for (int apart = 0; apart <= 40; ++apart) {
        begin();
        memmove(want + at, want + at + apart, (size_t)n);
        sm_copy_bytes_down(block + at, block + at + apart, n);
        if (!same("copy", n, at, apart)) {
          return 1;
        }
      }
      begin();
      memset(want + at, 200, (size_t)n);
      sm_fill_bytes(block + at, 200, n);
      if (!same("fill", n, at, 0)) {
        return 1;
      }
    }
  }
  return 0;
}
"""


def test_copies_that_overlap_are_those_of_memmove(tmp_path: Path) -> None:
    (tmp_path / "copies.c").write_text(_COPIES, encoding="utf-8")
    flags = ["-std=c99", "-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    command = ["gcc", *flags, f"-I{KERNELS}", str(tmp_path / "copies.c")]
    subprocess.run([*command, "-o", str(tmp_path / "copies")], check=True)
    done = subprocess.run([tmp_path / "copies"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def node(op: Op, *shapes: tuple[int, ...], out: QuantParams = Q) -> Graph:
    builder = GraphBuilder("bytes")
    operands = [
        builder.input(f"x{i}", TensorType((1, *shape), "int8", Q)) for i, shape in enumerate(shapes)
    ]
    return builder.build(list(builder.add_multi(op, operands, quant=out)))


def chosen(n: int) -> Graph:
    """Lines of n bytes that constant indices choose."""
    builder = GraphBuilder("bytes")
    x = builder.input("x", TensorType((1, 4, n), "int8", Q))
    at = builder.constant(np.array([3, 0, 3, -1, 9], np.int32))
    return builder.build([builder.add(get_op("GATHER")(1), [x, at], quant=Q)])


def draw(rng: np.random.Generator, graph: Graph, n: int = 2) -> list[Array]:
    return [rng.integers(-128, 128, (n, *t.shape[1:])).astype(np.int8) for t in graph.input_types]


def others(n: int) -> list[Graph]:
    """Kernels that take a constant operand or make several results."""
    return [node(get_op("SPLIT_V")((n, 5, n + 1), 2), (3, 2 * n + 6)), chosen(n)]


def of_size(n: int) -> list[Graph]:
    """Every other kernel here on runs of n bytes."""
    return [
        node(get_op("PAD")(((0, 0), (1, 2), (n % 4, 3), (0, 0))), (2, 3, n)),
        node(get_op("PAD")(((0, 0), (0, 0), (n % 3, n))), (3, 5)),
        node(get_op("CONCATENATION")(2), (3, n), (3, 5), (3, n + 1)),
        node(get_op("TRANSPOSE")((0, 2, 1)), (3, n)),
        node(get_op("TRANSPOSE")((0, 2, 1, 3)), (3, 2, n)),
        node(get_op("STRIDED_SLICE")((0, 1, 0), (1, 4, n), (1, 2, 1)), (4, n + 1)),
        node(get_op("PACK")(2), (3, n), (3, n)),
        node(get_op("RESIZE_NEAREST_NEIGHBOR")((3, 5)), (2, 3, n)),
        node(get_op("RELU")(), (n,)),
        node(get_op("RELU6")(), (n,)),
        node(get_op("LOGISTIC")(), (n,), out=QuantParams.per_tensor(1 / 256, -128)),
        node(get_op("QUANTIZE")(), (n,), out=QuantParams.per_tensor(0.03, 5)),
    ]


@pytest.mark.parametrize("features", [[], ["dsp"]])
def test_every_length(features: list[str]) -> None:
    rng = np.random.default_rng(1)
    graphs = [graph for n in (*range(1, 20), 31, 34, 67) for graph in (*of_size(n), *others(n))]
    batch = HostBatch(graphs, features=features)
    for i, graph in enumerate(graphs):
        x = draw(rng, graph)
        for got, want in zip(batch.run(i, x), interpret(graph, x), strict=True):
            np.testing.assert_array_equal(got, want, f"{graph}")


def test_a_rectifier_at_one_scale_limits_words() -> None:
    relu, relu6 = (node(get_op(name)(), (9,)) for name in ("RELU", "RELU6"))
    for graph in (relu, relu6):
        (step,) = select_kernels(graph, features=["dsp"])
        assert step.kernel.symbol == "sm_relu_int8_dsp"


@pytest.mark.parametrize("features", [[], ["dsp"]])
@pytest.mark.parametrize("case", range(len(of_size(1))))
def test_no_byte_beyond_operands_and_output_is_touched(
    case: int, features: list[str], tmp_path: Path
) -> None:
    graph = of_size(23)[case]
    x = draw(np.random.default_rng(2), graph, 1)
    (want,) = interpret(graph, x)
    for got in run_sanitized(graph, x, tmp_path, features=features):
        np.testing.assert_array_equal(got, want)


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("board", "toolchain"),
    [
        ("nucleo-l4r5zi", "gcc"),
        ("nucleo-l4r5zi", "zig"),
        ("raspberry-pi-pico", "gcc"),
        ("raspberry-pi-pico-2-riscv", "zig"),
    ],
)
def test_on_emulated_cores(board: str, toolchain: str) -> None:
    builder = GraphBuilder("bytes")
    rng = np.random.default_rng(3)
    outputs, x = [], []
    for n in (3, 8, 21):
        for graph in (*of_size(n), *others(n)):
            (single,) = graph.nodes
            new = {name: builder.input("x", graph.type(name)) for name in graph.inputs}
            constants = ((n, graph.data(n)) for n in single.inputs if n is not None)
            new |= {n: builder.constant(data) for n, data in constants if data is not None}
            operands = [new[n] for n in single.inputs if n is not None]
            quant = graph.type(single.outputs[0]).quant
            outputs += builder.add_multi(single.op, operands, quant=quant)
            x += draw(rng, graph, 1)
    graph = builder.build(outputs)
    run = smidgen.compile(graph, board, toolchain=toolchain).run(x)
    for got, want in zip(run.outputs, interpret(graph, x), strict=True):
        np.testing.assert_array_equal(got, want)
