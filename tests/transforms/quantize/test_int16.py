"""int16 activations with int8 weights, from a float model to bytes that TFLM agrees with."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.backends.c.host import QUICK, HostModel
from smidgen.backends.tflite.writer import write
from smidgen.data import decode, encode
from smidgen.errors import RecipeError
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.transforms.quantize import Recipe, Rule, layer_errors, quantize, snr_db
from smidgen.verify.runtimes import RuntimePool

RNG = np.random.default_rng(0)
SHAPE = (1, 8, 8, 3)


def network(activation: str = "LOGISTIC") -> Graph:
    """Convolutions, a residual, pools, a gate and a classifier."""
    b = GraphBuilder("network")

    def constant(*shape: int) -> str:
        return b.constant(RNG.normal(0, 0.4, shape).astype(np.float32))

    def layer(
        op: str, x: str, w: tuple[int, ...], channels: int, *args: object, **kw: object
    ) -> str:
        return b.add(get_op(op)(*args, **kw), [x, constant(*w), constant(channels)])

    x = b.input("x", TensorType(SHAPE, "float32"))
    stem = layer("CONV_2D", x, (8, 3, 3, 3), 8, padding="SAME", fused_activation_function="RELU")
    deep = layer("DEPTHWISE_CONV_2D", stem, (1, 3, 3, 8), 8, padding="SAME")
    total = b.add(get_op("ADD")(), [stem, deep])
    gate = b.add(get_op(activation)(), [total])
    gated = b.add(get_op("MUL")(), [total, gate])
    pooled = b.add(get_op("AVERAGE_POOL_2D")(2, 2, 2, 2), [gated])
    mean = b.add(get_op("MEAN")((1, 2)), [pooled])
    dense = layer("FULLY_CONNECTED", mean, (5, 8), 5)
    return b.build([b.add(get_op("SOFTMAX")(), [dense])])


def samples(count: int = 64) -> np.ndarray:
    return RNG.normal(0, 1, (count, *SHAPE[1:])).astype(np.float32)


def test_it_is_far_closer_to_the_float_model_than_int8() -> None:
    graph, x = network(), samples()
    (want,) = interpret(graph, x)
    ratios = []
    for recipe in ("int8", "int16x8"):
        integer = quantize(graph, x, recipe)
        (got,) = interpret(integer, encode(integer.input_types[0], x))
        ratios.append(snr_db(want, decode(integer.output_types[0], got)))
    assert ratios[1] > 45
    assert ratios[1] > ratios[0] + 15


def test_types_are_those_that_runtimes_take() -> None:
    integer = quantize(network(), samples(), "int16x8")
    activations = {v.type.dtype for v in integer.values.values() if not v.is_constant}
    assert activations == {"int16"}
    assert {v.type.dtype for v in integer.values.values() if v.is_constant} == {"int8", "int64"}
    assert all(
        v.type.quant is not None and not any(v.type.quant.zero_points)
        for v in integer.values.values()
    )


def test_the_table_of_layers_knows_the_range_of_int16() -> None:
    graph, x = network(), samples()
    errors = layer_errors(graph, quantize(graph, x, "int16x8"), [x])
    assert max(error.clipped for error in errors) < 0.01
    assert min(error.own_snr_db for error in errors) > 40


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.parametrize("activation", ["LOGISTIC", "TANH", "HARD_SWISH"])
def test_every_engine_gives_the_same_bytes(activation: str, pool: RuntimePool) -> None:
    """HARD_SWISH stays in float, between conversions."""
    integer = quantize(network(activation), samples(), "int16x8")
    x = random_inputs(integer, 12)
    (want,) = interpret(integer, x)
    np.testing.assert_array_equal(HostModel(integer, flags=QUICK).run(x)[0], want)
    np.testing.assert_array_equal(pool.run("tflm", write(integer), x).outputs[0], want)
    kinds = {node.op.name for node in integer.nodes}
    assert ("DEQUANTIZE" in kinds) == (activation == "HARD_SWISH")


def test_a_part_may_stay_in_float_but_not_in_int8() -> None:
    rules = (Rule(dtype="int16"), Rule(operator="FULLY_CONNECTED", dtype="float32"))
    mixed = quantize(network(), samples(), Recipe(rules, float_io=True))
    assert mixed.input_types[0].dtype == mixed.output_types[0].dtype == "float32"
    assert {"QUANTIZE", "DEQUANTIZE"} <= {node.op.name for node in mixed.nodes}
    with pytest.raises(RecipeError, match="int8 and int16 activations in one recipe"):
        Recipe((Rule(), Rule(scope="dense", dtype="int16")))
