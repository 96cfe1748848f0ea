"""Quantized operators of ONNX against onnxruntime, which computes between pairs in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.frontends.lowering import on_grid
from smidgen.frontends.lowering.grid import Grid, integers_of
from tests.frontends.onnx.models import Quantized
from tests.frontends.onnx.oracle import as_graph_takes, as_model_gives, session

pytestmark = pytest.mark.onnx

OUT = 0.1  # scale of the result, whose steps are counted


def conv(m: Quantized, **attributes: Any) -> str:
    x, w = m.input("x", 1, 4, 9, 8), m.weights("w", 6, 4, 3, 3, axis=0)
    return m.add("Conv", f"{x} {w} {m.floats('b', 6)}", "y", pads=[1] * 4, **attributes)


def conv_one_scale(m: Quantized) -> str:
    x, w = m.input("x", 1, 4, 9, 8), m.weights("w", 6, 4, 3, 3)
    return m.add("Conv", f"{x} {w}", "y", strides=[2, 2], pads=[1] * 4)


def depthwise(m: Quantized) -> str:
    x, w = m.input("x", 1, 6, 9, 8), m.weights("w", 6, 1, 3, 3, axis=0)
    return m.add("Conv", f"{x} {w} {m.floats('b', 6)}", "y", group=6)


def conv_relu(m: Quantized) -> str:
    return m.add("Relu", conv(m), "relu")


def conv_transposed_between(m: Quantized) -> str:
    return m.add("Transpose", conv(m), "t", perm=[0, 2, 3, 1])


def gemm(m: Quantized) -> str:
    x, w = m.input("x", 1, 40), m.weights("w", 10, 40)
    return m.add("Gemm", f"{x} {w} {m.floats('b', 10)}", "y", transB=1)


def matmul(m: Quantized) -> str:
    return m.add("MatMul", f"{m.input('x', 1, 40)} {m.weights('w', 40, 10, axis=1)}", "y")


def add(m: Quantized) -> str:
    a, b = m.input("x", 1, 4, 5, 6), m.input("z", 1, 4, 5, 6)
    return m.add("Add", f"{a} {b}", "y")


def add_constant(m: Quantized) -> str:
    return m.add("Add", f"{m.input('x', 1, 4, 5, 6)} {m.weights('w', 6)}", "y")


def multiply_by_number(m: Quantized) -> str:
    m.constants["c"] = np.array(0.37, np.float32)
    return m.add("Mul", f"{m.input('x', 1, 4, 5, 6)} c", "y")


def multiply(m: Quantized) -> str:
    return m.add("Mul", f"{m.input('x', 1, 4, 5, 6)} {m.input('z', 1, 4, 1, 1)}", "y")


def unary(op: str, **attributes: Any) -> Callable[[Quantized], str]:
    return lambda m: m.add(op, m.input("x", 1, 4, 6, 8), "y", **attributes)


def concat(m: Quantized) -> str:
    return m.add("Concat", f"{m.input('x', 1, 4, 5, 6)} {m.input('z', 1, 3, 5, 6)}", "y", axis=1)


CASES: dict[str, tuple[Callable[[Quantized], str], int]] = {
    "conv": (conv, 1),
    "conv_dilated": (lambda m: conv(m, dilations=[2, 2]), 1),
    "conv_one_scale": (conv_one_scale, 1),
    "conv_relu": (conv_relu, 1),
    "conv_transposed_between": (conv_transposed_between, 1),
    "depthwise": (depthwise, 1),
    "gemm": (gemm, 1),
    "matmul": (matmul, 1),
    "add": (add, 1),
    "add_constant": (add_constant, 1),
    "multiply": (multiply, 1),
    "multiply_by_number": (multiply_by_number, 1),
    "max_pool": (unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 1),
    "average_pool": (unary("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), 1),
    "global_average_pool": (unary("GlobalAveragePool"), 1),
    "relu": (unary("Relu"), 1),
    "sigmoid": (unary("Sigmoid"), 1),
    "tanh": (unary("Tanh"), 1),
    "leaky_relu": (unary("LeakyRelu", alpha=0.1), 1),
    "softmax": (unary("Softmax", axis=-1), 1),
    "flatten": (unary("Flatten"), 1),
    "concat": (concat, 1),
}


def loaded(build: Callable[[Quantized], str], dtype: type) -> tuple[Any, smidgen.Graph]:
    m = Quantized(1, dtype)
    result = m.pair(build(m), OUT, -20)
    model = m.model(result)
    return model, smidgen.load(model)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("name", CASES)
def test_an_operator_between_pairs_becomes_one_on_integers(name: str, dtype: type) -> None:
    build, steps = CASES[name]
    model, graph = loaded(build, dtype)
    computed = [n for n in graph.nodes if n.op.name not in ("QUANTIZE", "DEQUANTIZE")]
    assert computed
    assert {graph.type(n.outputs[0]).dtype for n in computed} == {"int8"}
    rng = np.random.default_rng(3)
    oracle = session(model)
    for _ in range(5):
        feed = {i.name: rng.normal(0, 2, i.shape).astype(np.float32) for i in oracle.get_inputs()}
        (want,) = oracle.run(None, feed)
        mine = [as_graph_takes(graph, name, feed[name]) for name in graph.inputs]
        (got,) = smidgen.run(graph, mine)
        got = as_model_gives(graph, graph.outputs[0], got, want)
        assert np.abs(got - want).max() / OUT <= steps + 1e-3


def test_scales_and_zero_points_are_the_models_own() -> None:
    model, graph = loaded(conv, np.uint8)
    (node,) = (n for n in graph.nodes if n.op.name == "CONV_2D")
    x, w, out = (graph.type(n).quant for n in (node.inputs[0], node.inputs[1], node.outputs[0]))
    assert x is not None and w is not None and out is not None
    stored = {t.name: t for t in model.graph.initializer}
    from onnx import numpy_helper

    scales = numpy_helper.to_array(stored["w_scale"])
    assert (x.scale, x.zero_point) == (float(np.float32(0.05)), 3)
    assert w.scales == tuple(scales.tolist())
    assert (out.scale, out.zero_point) == (float(np.float32(OUT)), -20)
    integers = numpy_helper.to_array(stored["w_q"]).transpose(0, 2, 3, 1)
    assert np.array_equal(graph.data(node.inputs[1]), integers)


def test_what_is_not_surrounded_stays_in_float() -> None:
    m = Quantized(1)
    y = m.add("Mul", f"{conv(m)} {m.floats('c', 6, 1, 1)}", "scaled")
    graph = smidgen.load(m.model(m.pair(y, OUT, 0)))
    kinds = {n.op.name: graph.type(n.outputs[0]).dtype for n in graph.nodes}
    assert kinds["CONV_2D"] == kinds["MUL"] == "float32"
    assert kinds["QUANTIZE"] == "int8"


def test_a_grid_is_kept_by_movements_and_lost_in_arithmetic() -> None:
    q = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    real = on_grid(q, [0.5, 0.25, 2.0], [0, 0, 0], axis=0)
    moved = real.T[:, ::1]
    assert moved.grid == Grid((0.5, 0.25, 2.0), (0, 0, 0))  # type: ignore[attr-defined]
    assert np.array_equal(integers_of(moved, moved.grid, 1), q.T)  # type: ignore[arg-type,attr-defined]
    assert getattr(real * 2, "grid", None) is None
    off = np.asarray(moved) + np.float32(0.1)
    assert integers_of(off, moved.grid, 1) is None  # type: ignore[attr-defined]
