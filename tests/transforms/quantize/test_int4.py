"""int4 weights by recipe: which layers get them, how well they fit, and what computes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from smidgen import Recipe, Rule, quantize, shrink, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.errors import RecipeError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.transforms.quantize import PRESETS, layer_errors, prepare
from smidgen.transforms.quantize.ends import first_layers, last_layers
from smidgen.transforms.quantize.weight_scales import least_squares_scales
from smidgen.verify.runtimes import run_tflite
from tests.graphs import difference

Array = np.ndarray[Any, Any]


class Net:
    """A float network by hand, with random weights."""

    def __init__(self) -> None:
        self.b = GraphBuilder("net")
        self.rng = np.random.default_rng(3)
        self.x = self.b.input("x", TensorType((1, 6, 6, 3), "float32"))

    def layer(self, op: str, x: str, shape: tuple[int, ...], name: str, **how: object) -> str:
        w = (self.rng.standard_t(4, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        bias = self.rng.normal(0, 0.1, shape[3 if op == "DEPTHWISE_CONV_2D" else 0])
        operands = [x, self.b.constant(w, name=f"{name}_w")]
        operands.append(self.b.constant(bias.astype(np.float32), name=f"{name}_b"))
        return self.b.add(get_op(op)(**how), operands, name=name)

    def add(self, *operands: str) -> str:
        return self.b.add(get_op("ADD")(), list(operands), name="sum")


def residual() -> Graph:
    """first → (inner → depthwise, short) → sum → dense → last."""
    net = Net()
    same: dict[str, object] = {"padding": "SAME", "fused_activation_function": "RELU"}
    y = net.layer("CONV_2D", net.x, (9, 3, 3, 3), "first", **same)
    a = net.layer("CONV_2D", y, (5, 3, 3, 9), "inner", **same)
    a = net.layer("DEPTHWISE_CONV_2D", a, (1, 3, 3, 5), "depthwise", **same)
    y = net.add(a, net.layer("CONV_2D", y, (5, 1, 1, 9), "short", padding="SAME"))
    y = net.layer("FULLY_CONNECTED", y, (11, 180), "dense", fused_activation_function="RELU")
    return net.b.build([net.layer("FULLY_CONNECTED", y, (4, 11), "last")])


def samples(count: int = 64) -> Array:
    return np.random.default_rng(4).normal(0, 1, (count, 6, 6, 3)).astype(np.float32)


def weight_dtypes(graph: Graph) -> dict[str, str]:
    return {
        node.name: graph.type(node.inputs[1]).dtype
        for node in graph.nodes
        if len(node.inputs) == 3 and node.inputs[1] is not None
    }


def test_first_and_last_layers_keep_int8() -> None:
    graph = quantize(residual(), samples(), "int4")
    assert weight_dtypes(graph) == {
        **dict.fromkeys(("first", "last"), "int8"),
        **dict.fromkeys(("inner", "depthwise", "short", "dense"), "int4"),
    }
    per_channel = {n: graph.type(f"{n}_w").quant.axis for n in ("inner", "depthwise", "dense")}
    assert per_channel == {"inner": 0, "depthwise": 3, "dense": None}  # TFLM refuses it of the last
    for name in ("inner", "depthwise", "short", "dense"):
        weights = graph.data(f"{name}_w")
        assert weights is not None and 4 < np.abs(weights).max() <= 7
        assert graph.type(f"{name}_w").bytes == (weights.size + 1) // 2
    whole = quantize(residual(), samples())
    saved = sum(graph.type(f"{n}_w").size // 2 for n in ("inner", "depthwise", "short", "dense"))
    assert whole.constant_bytes - graph.constant_bytes == saved


def test_rules_give_layers_four_bits_by_name() -> None:
    recipe = Recipe((Rule(), Rule(scope="inner", weight_dtype="int4")))
    dtypes = weight_dtypes(quantize(residual(), samples(), recipe))
    assert [name for name, dtype in dtypes.items() if dtype == "int4"] == ["inner"]
    with pytest.raises(RecipeError, match="weight_dtype 'int3'"):
        Rule(weight_dtype="int3")


def test_ends_of_branches_and_of_a_single_layer() -> None:
    graph = residual()
    assert [n.name for n in first_layers(graph)] == ["first"]
    assert [n.name for n in last_layers(graph)] == ["last"]
    net = Net()
    ends = [net.layer("CONV_2D", net.x, (2, 1, 1, 3), name) for name in ("a", "b")]
    graph = net.b.build([net.add(*ends)])
    for found in (first_layers(graph), last_layers(graph)):
        assert {n.name for n in found} == {"a", "b"}
    assert set(weight_dtypes(quantize(graph, samples(), "int4")).values()) == {"int8"}


def squared_error(weights: Array, scale: float, limit: int) -> float:
    steps = np.clip(np.round(weights / scale), -limit, limit)
    return float(np.square(weights - scale * steps).sum())


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_scales_have_the_least_squared_error(axis: int | None) -> None:
    weights = np.random.default_rng(5).standard_t(3, (6, 40)).astype(np.float32)
    weights[2] = weights[:, 3] = 0
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0)
    widest = np.maximum(np.abs(rows).max(axis=1), 0.7) / 7
    scales = least_squares_scales(weights, widest.tolist(), axis, 7)
    for row, start, scale in zip(rows, widest, scales, strict=True):
        tried = min(squared_error(row, s, 7) for s in np.linspace(0.1, 1.1, 400) * start)
        assert squared_error(row, scale, 7) <= 1.01 * tried
        assert row.any() or scale == start


@pytest.mark.oracle
@pytest.mark.toolchain
def test_what_is_made_runs_everywhere_alike() -> None:
    graph = quantize(residual(), samples(), "int4")
    data = write_tflite(graph)
    x = random_inputs(graph, 8)
    want = interpret(graph, x)[0]
    assert (want != interpret(quantize(residual(), samples()), x)[0]).any()
    np.testing.assert_array_equal(interpret(read(data), x)[0], want)
    np.testing.assert_array_equal(HostModel(graph, flags=["-O1"]).run(x)[0], want)
    np.testing.assert_array_equal(run_tflite("tflm", data, x).outputs[0], want)
    # FULLY_CONNECTED rounds once there, which the layer after it amplifies.
    off = run_tflite("litert_ref", data, x).outputs[0] - want.astype(int)
    assert np.abs(off).max() <= 3


@pytest.mark.parametrize("layer", ["inner", "depthwise", "dense"])
def test_fitted_weights_err_less_than_nearest_ones(layer: str) -> None:
    """On samples that they were not fitted to, layer by layer."""
    recipe = Recipe((Rule(), Rule(scope=layer, weight_dtype="int4")))
    nearest = dataclasses.replace(recipe, fit_weights=False)
    graph, unseen = prepare(residual()), samples(300)[200:]
    snr = []
    for each in (nearest, recipe):
        errors = layer_errors(graph, quantize(graph, samples(300)[:200], each), [unseen])
        snr += [error.own_snr_db for error in errors if error.value == layer]
    assert snr[1] > snr[0] + 0.1


def test_weights_that_cannot_be_fitted_go_to_the_nearest() -> None:
    net = Net()
    y = net.layer("CONV_2D", net.x, (6, 3, 3, 3), "first")
    y = net.layer("CONV_2D", y, (4, 3, 3, 3), "grouped")
    graph = net.b.build([net.layer("CONV_2D", y, (2, 1, 1, 4), "last")])
    made = quantize(graph, samples(), "int4").data("grouped_w")
    recipe = dataclasses.replace(PRESETS["int4"], fit_weights=False)
    want = quantize(graph, samples(), recipe).data("grouped_w")
    assert made is not None and want is not None
    np.testing.assert_array_equal(made, want)


def test_dead_channels_go_from_four_bits_too() -> None:
    graph = quantize(residual(), samples(), "int4")
    values = dict(graph.values)
    weights, bias = graph.data("first_w"), graph.data("first_b")
    assert weights is not None and bias is not None
    weights, bias = weights.copy(), bias.copy()
    weights[[1, 4]] = 0
    bias[[1, 4]] = -(2**20)
    for name, data in (("first_w", weights), ("first_b", bias)):
        values[name] = dataclasses.replace(values[name], data=data)
    small, report = shrink(dataclasses.replace(graph, values=values))
    assert report.changes
    for name, shape in (("inner_w", (5, 3, 3, 7)), ("short_w", (5, 1, 1, 7))):
        assert (small.type(name).shape, small.type(name).dtype) == (shape, "int4")
    assert difference(small, read(write_tflite(small))) == ""
