"""ADD, SUB and MUL on two full operands: on this machine, with and without DSP, and emulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.tflite.writer import write
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch
from tests.kernels.exact_blocks import run_sanitized

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor
PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))).astype(np.int8)


def binary(
    name: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    quants: tuple[QuantParams, QuantParams, QuantParams],
    activation: str = "NONE",
) -> Graph:
    builder = GraphBuilder("binary")
    operands = [
        builder.input(n, TensorType((1, *shape), "int8", quant))
        for n, shape, quant in zip("ab", shapes, quants, strict=False)
    ]
    return builder.build([builder.add(get_op(name)(activation), operands, quant=quants[2])])


def kernel(graph: Graph, *features: str) -> str:
    (step,) = select_kernels(graph, features=features)
    return step.kernel.symbol


def draw_quants(rng: np.random.Generator) -> tuple[QuantParams, QuantParams, QuantParams]:
    a, b = rng.uniform(0.01, 0.1, 2)
    out = rng.uniform(0.4, 1.2) * (a + b)
    points = [int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) for _ in range(3)]
    return Q(a, points[0]), Q(b, points[1]), Q(out, points[2])


def draw_product(rng: np.random.Generator) -> tuple[QuantParams, QuantParams, QuantParams]:
    a, b, _ = draw_quants(rng)
    return a, b, Q(float(a.scale * b.scale * rng.uniform(20, 300)), int(rng.integers(-128, 128)))


def g_shapes(graph: Graph) -> Any:
    """The shapes of a graph's operands, without their batch."""
    return tuple(t.shape[1:] for t in graph.input_types)


# Each is summed by the kernel that it names, on a core with DSP instructions or with any other.
CASES: dict[str, tuple[str, tuple[QuantParams, QuantParams, QuantParams], str]] = {
    "plain": ("plane", (Q(0.02137, 3), Q(0.03451, -128), Q(0.04987, 0)), "NONE"),
    "relu": ("plane", (Q(0.02137, 3), Q(0.03451, -128), Q(0.02987, -128)), "RELU"),
    "relu above -128": ("plane", (Q(0.02137, 3), Q(0.03451, -9), Q(0.02987, -20)), "RELU"),
    "relu6": ("plane", (Q(0.2137, 3), Q(0.3451, -9), Q(0.2987, -20)), "RELU6"),
    "equal scales": ("plane", (Q(0.5, 0), Q(0.5, 0), Q(0.5, 0)), "NONE"),
    "halves": ("plane", (Q(0.5, 3), Q(0.25, -128), Q(0.5, 0)), "NONE"),
    "eighths": ("plane_ties", (Q(0.125, 44), Q(0.015625, 18), Q(0.125, -34)), "NONE"),
    "eighths, relu": ("plane", (Q(0.125, 44), Q(0.015625, 18), Q(0.125, -34)), "RELU"),
    "far apart": ("plane", (Q(0.007, -1), Q(0.9, 0), Q(0.613, -128)), "NONE"),
    "round numbers": ("", (Q(0.021, -3), Q(0.034, 5), Q(0.05, 7)), "NONE"),
    "too large": ("", (Q(20.0, 0), Q(20.0, 0), Q(0.05, 0)), "NONE"),
}


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_every_pair_of_operands(case: str, pool: RuntimePool) -> None:
    plane, quants, activation = CASES[case]
    graphs = [binary(n, ((1 << 16,), (1 << 16,)), quants, activation) for n in ("ADD", "SUB")]
    x = [p.reshape(1, -1) for p in PAIRS]
    batches = [HostBatch(graphs, features=f) for f in ([], ["dsp"])]
    for i, graph in enumerate(graphs):
        name = graph.nodes[0].op.name.lower()
        exact = f"sm_{name}_int8"
        if plane:
            assert kernel(graph) == f"sm_sum_int8_{plane}"
            assert kernel(graph, "dsp") == f"sm_sum_int8_{plane.replace('plane', 'plane_dsp')}"
        else:
            assert kernel(graph) == kernel(graph, "dsp") == exact
        (want,) = interpret(graph, x)
        for batch in batches:
            np.testing.assert_array_equal(batch.run(i, x)[0], want)
        np.testing.assert_array_equal(pool.run("tflm", write(graph), x).outputs[0], want)


def test_every_size_and_alignment() -> None:
    """Rows of odd sizes put words at every alignment, whole ones and repeated ones."""
    rng = np.random.default_rng(5)
    graphs = []
    for n in range(1, 68):
        shapes = (((3, n), (n,)), ((n,), (3, n)), ((3, n), (3, n)), ((3, n), (1, n)))[n % 4]
        name, activation = ("ADD", "SUB")[n % 2], ("NONE", "RELU", "RELU6")[n % 3]
        graphs.append(binary(name, shapes, draw_quants(rng), activation))
    assert sum("plane" in kernel(g) for g in graphs) > 60
    graphs += [binary("MUL", g_shapes(g), draw_product(rng), "RELU6") for g in graphs[::2]]
    assert sum(kernel(g, "dsp") == "sm_mul_int8_dsp" for g in graphs) > 30
    for features in ([], ["dsp"]):
        batch = HostBatch(graphs, features=features)
        for i, graph in enumerate(graphs):
            x = [
                rng.integers(-128, 128, (4, *t.shape[1:])).astype(np.int8)
                for t in graph.input_types
            ]
            np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0], f"{graph}")


PRODUCTS: dict[str, tuple[tuple[QuantParams, QuantParams, QuantParams], str]] = {
    "plain": ((Q(0.02137, 3), Q(0.03451, -128), Q(0.1487, 0)), "NONE"),
    "ties": ((Q(0.5, 3), Q(0.25, -128), Q(16.0, 5)), "NONE"),
    "relu6": ((Q(0.02137, 127), Q(0.03451, -128), Q(0.1487, -7)), "RELU6"),
    "largest shift": ((Q(0.02137, 3), Q(0.03451, -128), Q(1000.0, 5)), "NONE"),
    "smallest shift": ((Q(0.5, 3), Q(0.25, -128), Q(0.26, -128)), "RELU"),
    "too large": ((Q(0.5, 3), Q(0.25, -128), Q(0.25, -128)), "NONE"),
    "too small": ((Q(0.002, 3), Q(0.003, -128), Q(200.0, 1)), "NONE"),
}


@pytest.mark.oracle
@pytest.mark.parametrize("case", PRODUCTS)
def test_every_product(case: str, pool: RuntimePool) -> None:
    graph = binary("MUL", ((1 << 16,), (1 << 16,)), *PRODUCTS[case])
    x = [p.reshape(1, -1) for p in PAIRS]
    assert kernel(graph) == "sm_mul_int8"
    assert kernel(graph, "dsp") == "sm_mul_int8" + "_dsp" * (not case.startswith("too"))
    (want,) = interpret(graph, x)
    for features in ([], ["dsp"]):
        np.testing.assert_array_equal(HostBatch([graph], features=features).run(0, x)[0], want)
    np.testing.assert_array_equal(pool.run("tflm", write(graph), x).outputs[0], want)


@pytest.mark.parametrize("features", [[], ["dsp"]])
@pytest.mark.parametrize("shapes", [((3, 13), (3, 13)), ((2, 8), (8,))])
@pytest.mark.parametrize("case", ["relu above -128", "eighths", "product"])
def test_no_byte_beyond_operands_and_output_is_touched(
    case: str, shapes: tuple[tuple[int, ...], ...], features: list[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(6)
    name, drawn = ("MUL", PRODUCTS["relu6"]) if case == "product" else ("ADD", CASES[case][1:])
    graph = binary(name, shapes, *drawn)  # type: ignore[arg-type]
    x = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in graph.input_types]
    (want,) = interpret(graph, x)
    for got in run_sanitized(graph, x, tmp_path, features=features):
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
    rng = np.random.default_rng(8)
    builder = GraphBuilder("sums")
    shape, outputs, types = (1, 997), [], []
    for i, case in enumerate(("plain", "relu above -128", "eighths", "round numbers")):
        _, (a, b, out), activation = CASES[case]
        for name in ("ADD", "SUB"):
            operands = [
                builder.input(f"{n}{name}{i}", TensorType(shape, "int8", q))
                for n, q in (("a", a), ("b", b))
            ]
            types += [a, b]
            outputs.append(builder.add(get_op(name)(activation), operands, quant=out))
    for i, ((a, b, out), activation) in enumerate(PRODUCTS.values()):
        operands = [
            builder.input(f"{n}MUL{i}", TensorType(shape, "int8", q))
            for n, q in (("a", a), ("b", b))
        ]
        types += [a, b]
        outputs.append(builder.add(get_op("MUL")(activation), operands, quant=out))
    graph = builder.build(outputs)
    x = [rng.integers(-128, 128, shape).astype(np.int8) for _ in types]
    run = compile(graph, board, toolchain=toolchain).run(x)
    for got, want in zip(run.outputs, interpret(graph, x), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("varies", [0, 1])
def test_one_constant_number_is_a_table(name: str, varies: int) -> None:
    rng = np.random.default_rng(9)
    graphs = []
    for i, number in enumerate((-128, -3, 0, 127)):
        quants = draw_quants(rng)
        builder = GraphBuilder("table")
        x = builder.input("x", TensorType((1, 256), "int8", quants[varies]))
        shape = ((), (1,), (1, 1), (1, 1))[i]
        c = builder.constant(np.full(shape, number, np.int8), quant=quants[1 - varies])
        operands = [x, c] if varies == 0 else [c, x]
        op = get_op(name)(("NONE", "RELU6")[i % 2])
        graphs.append(builder.build([builder.add(op, operands, quant=quants[2])]))
    batch = HostBatch(graphs)
    x = np.arange(-128, 128).astype(np.int8).reshape(1, -1)
    for i, graph in enumerate(graphs):
        assert kernel(graph) == kernel(graph, "dsp") == "sm_lookup_int8"
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0])
