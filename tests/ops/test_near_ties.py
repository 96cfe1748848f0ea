"""Layers at the values where a unit in a multiplier decides: reference, TFLM and compiled C.

Random inputs hardly ever lie so close to a tie that a factor computed in another precision, or
rounded in another way, shows. Here biases are chosen to lie there, and layers of two numbers see
all pairs of int8 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.host import HostModel
from smidgen.backends.tflite.writer import write
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.numerics.requantize import quantize_multipliers, requantize
from smidgen.ops import Op, get_op
from smidgen.verify.runtimes import RuntimePool

pytestmark = [pytest.mark.oracle, pytest.mark.toolchain]

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor
BYTES = np.arange(-128, 128)


Check = Callable[[Graph, list[Array]], Array]


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    """What the reference computes, which is what TFLM and the compiled C compute."""
    with RuntimePool() as pool:

        def run(graph: Graph, inputs: list[Array]) -> Array:
            (want,) = interpret(graph, inputs)
            np.testing.assert_array_equal(pool.run("tflm", write(graph), inputs).outputs[0], want)
            np.testing.assert_array_equal(HostModel(graph, flags=["-O1"]).run(inputs)[0], want)
            return want

        yield run


LAYERS = [
    (name, axis, granularity, dtype)
    for name, axis in (
        ("CONV_2D", 0),
        ("DEPTHWISE_CONV_2D", 3),
        ("FULLY_CONNECTED", 0),
        ("TRANSPOSE_CONV", 0),
    )
    for granularity in ("per tensor", "per channel")
    for dtype in ("int8", "int4")
    # TFLM refuses these.
    if (name, granularity, dtype) != ("FULLY_CONNECTED", "per channel", "int4")
    and (name, dtype) != ("TRANSPOSE_CONV", "int4")
]


def biases_near_ties(reals: Array) -> Array:
    """A bias for each factor that it brings to within a few units of half of an odd number."""
    halves = np.arange(len(reals)) % 250 - 125 + 0.5
    return (np.round(halves / reals) + np.arange(len(reals)) // 250 % 9 - 4).astype(np.int32)


def weighted(name: str, w_scales: Array, axis: int, dtype: str) -> tuple[Graph, Array]:
    """A layer of one input channel whose outputs are its biases, requantized; and its factors."""
    count, x_scale, out_scale = 2250, 0.1, 3000.0
    per_tensor = len(w_scales) == 1
    shape = {"DEPTHWISE_CONV_2D": (1, 1, 1, count), "FULLY_CONNECTED": (count, 1)}.get(
        name, (count, 1, 1, 1)
    )
    quant = Q(float(w_scales[0])) if per_tensor else QuantParams.per_channel(w_scales, axis)
    x = TensorType((1, 1) if name == "FULLY_CONNECTED" else (1, 1, 1, 1), "int8", Q(x_scale, -7))
    x_quant, out_quant = Q(x_scale), Q(out_scale)
    reals = x_quant.scale * np.asarray(quant.scales) / out_quant.scale
    products = np.float32(x_quant.scale * np.asarray(quant.scales))
    builder = GraphBuilder()
    weights = builder.constant(np.ones(shape, np.int8), quant=quant, dtype=dtype)
    bias_quant = Q(products[0]) if per_tensor else QuantParams.per_channel(products, 0)
    factors = np.broadcast_to(reals, (count,))
    bias = builder.constant(biases_near_ties(factors), quant=bias_quant)
    out = builder.add(get_op(name)(), [builder.input("x", x), weights, bias], quant=out_quant)
    return builder.build([out]), factors


@pytest.mark.parametrize(("name", "axis", "granularity", "dtype"), LAYERS)
def test_weighted_layers(check: Check, name: str, axis: int, granularity: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.002, 0.004, 2250 if granularity == "per channel" else 1)
    graph, reals = weighted(name, scales.astype(np.float32), axis, dtype)
    got = check(graph, [np.full((1, *graph.input_types[0].shape[1:]), -7, np.int8)])
    bias = graph.data(graph.nodes[0].inputs[2] or "")
    assert bias is not None
    for precision, same in ((np.float64, True), (np.float32, False)):
        answers = requantize(bias, *quantize_multipliers(reals.astype(precision)))
        assert np.array_equal(got.ravel(), answers) == same


def all_pairs(check: Check, op: Op, a: QuantParams, b: QuantParams, out: QuantParams) -> Array:
    builder = GraphBuilder()
    first = builder.input("a", TensorType((1, 256, 1), "int8", a))
    second = builder.input("b", TensorType((1, 1, 256), "int8", b))
    graph = builder.build([builder.add(op, [first, second], quant=out)])
    column = BYTES.astype(np.int8)
    return check(graph, [column.reshape(1, 256, 1), column.reshape(1, 1, 256)])


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize(
    ("a", "b", "out"),
    [
        (Q(0.5, 3), Q(0.25, -128), Q(0.5, 0)),  # every other result is a tie
        (Q(0.105), Q(0.132), Q(0.072)),  # scales divided in float32 would change 426 differences
        (Q(0.1, 127), Q(0.03, -128), Q(0.11, 5)),
        (Q(0.007, -1), Q(0.9, 0), Q(0.013, -128)),
        (Q(1.0, 0), Q(0.75, 0), Q(3.0, 0)),
        (Q(20.0, 0), Q(20.0, 0), Q(0.05, 0)),
        (Q(0.04, -128), Q(0.04, -128), Q(900.0, -3)),
    ],
)
def test_every_pair_of_operands(
    check: Check, name: str, a: QuantParams, b: QuantParams, out: QuantParams
) -> None:
    for activation in ("NONE", "RELU6"):
        all_pairs(check, get_op(name)(activation), a, b, out)


@pytest.mark.parametrize("out", [Q(0.3, 7), Q(0.6, -128), Q(0.15, 127), Q(0.0999, 0)])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_means_of_every_pair(check: Check, out: QuantParams, keep_dims: bool) -> None:
    pairs = np.stack(np.meshgrid(BYTES, BYTES), 0).reshape(1, 2, 1, -1).astype(np.int8)
    builder = GraphBuilder()
    x = builder.input("x", TensorType(pairs.shape, "int8", Q(0.3, 7)))
    graph = builder.build([builder.add(get_op("MEAN")((1, 2), keep_dims), [x], quant=out)])
    check(graph, [pairs])


@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
def test_pools_of_every_pair(check: Check, name: str, activation: str) -> None:
    pairs = np.stack(np.meshgrid(BYTES, BYTES), 0).reshape(1, 2, 1, -1).astype(np.int8)
    op = get_op(name)(1, 1, 2, 1, "VALID", activation)
    builder = GraphBuilder()
    x = builder.input("x", TensorType(pairs.shape, "int8", Q(0.05, -9)))
    check(builder.build([builder.add(op, [x], quant=Q(0.05, -9))]), [pairs])
