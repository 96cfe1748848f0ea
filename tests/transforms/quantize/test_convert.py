"""Converting: integer weights, biases and constants, and QUANTIZE only where it has to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.data import decode, encode
from smidgen.evaluate import real_outputs
from smidgen.interpreter import interpret
from smidgen.ir import TensorType
from smidgen.ops import get_op
from smidgen.transforms.quantize import PRESETS, Recipe, Rule, prepare, quantize, snr_db
from smidgen.transforms.quantize.convert import BIAS_LIMITS, weight_params
from tests.transforms.quantize.networks import (
    Net,
    branches,
    chain,
    classifier,
    images,
    normal,
    replaced,
)

PER_CHANNEL = Recipe((Rule(weights="per-channel"),))
PER_TENSOR = Recipe((Rule(weights="per-tensor"),))


def operators(graph):
    return [node.op.name for node in graph.nodes]


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), axis=st.sampled_from([None, 0, 1, 2]))
def test_the_largest_weight_becomes_127(seed, axis):
    weights = normal(seed, 3, 4, 5) * 10.0 ** (seed % 7 - 3)
    params = weight_params(weights, axis)
    assert set(params.zero_points) == {0}
    shape = [-1 if i == axis else 1 for i in range(3)]
    steps = np.abs(weights / np.reshape(params.scales, shape))
    others = tuple(i for i in range(3) if i != axis) if axis is not None else None
    np.testing.assert_allclose(steps.max(axis=others), 127, rtol=1e-6)


def test_a_channel_of_zeros_has_a_usable_scale():
    weights = normal(0, 4, 10)
    weights[2] = 0
    scales = weight_params(weights, 0).scales
    assert min(scales[:2] + scales[3:]) <= scales[2] <= max(scales)
    assert weight_params(np.zeros((4, 10), np.float32), 0).scales == (1.0,) * 4


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("network", [classifier, branches])
def test_every_recipe_stays_close_to_float(preset, network):
    graph, x = network(), images(100)
    integer = quantize(graph, x[:60], preset)
    assert snr_db(real_outputs(graph, x[60:]), real_outputs(integer, x[60:])) > 20


def test_results_keep_their_names_and_order():
    graph = prepare(classifier())
    integer = quantize(classifier(), images())
    assert [n.outputs for n in integer.nodes] == [n.outputs for n in graph.nodes]
    assert integer.inputs == graph.inputs
    assert {integer.type(n).dtype for node in integer.nodes for n in node.outputs} == {"int8"}


def test_biases_count_in_steps_of_the_sums():
    integer = quantize(classifier(), images(), PER_CHANNEL)
    for name in ("stem", "spread", "mix", "head"):
        x, w, bias = integer.producers[name].inputs
        want = np.float64(integer.type(x).quant.scale) * np.array(integer.type(w).quant.scales)
        np.testing.assert_allclose(integer.type(bias).quant.scales, want, rtol=1e-6)
        assert integer.type(bias).dtype == "int32"


def test_a_weight_of_each_channel_is_off_by_half_a_step_at_most():
    graph = prepare(classifier())
    integer = quantize(classifier(), images(), PER_CHANNEL)
    for name in ("stem", "spread", "mix", "head"):
        real = graph.data(graph.producers[name].inputs[1])
        value = integer.values[integer.producers[name].inputs[1]]
        shape = [-1 if i == value.type.quant.axis else 1 for i in range(real.ndim)]
        steps = np.abs(decode(value.type, value.data) - real) / np.reshape(
            value.type.quant.scales, shape
        )
        assert steps.max() <= 0.5 + 1e-4
        assert value.data.min() >= -127  # symmetric: -128 would have no opposite


def test_a_dense_layer_has_one_scale_unless_its_channels_differ_a_lot():
    graph = classifier()
    assert quantize(graph, images()).type("w_3").quant.axis is None
    name = graph.producers["head"].inputs[1]
    uneven = graph.data(name) * np.float32([1000, 1, 1, 1, 1])[:, None]
    integer = quantize(replaced(graph, {name: uneven}), images())
    assert integer.type(integer.producers["head"].inputs[1]).quant.axis == 0


def test_granularity_can_be_chosen():
    one = quantize(classifier(), images(), PER_TENSOR)
    many = quantize(classifier(), images(), PER_CHANNEL)
    for name in ("stem", "spread", "head"):
        assert one.type(one.producers[name].inputs[1]).quant.axis is None
        assert many.type(many.producers[name].inputs[1]).quant.axis is not None
    assert many.type(many.producers["spread"].inputs[1]).quant.axis == 3


def test_an_enormous_bias_leaves_room_for_the_products():
    graph = classifier()
    bias = graph.producers["stem"].inputs[2]
    integer = quantize(replaced(graph, {bias: np.full(8, 1e12)}), images())
    stored = integer.data(integer.producers["stem"].inputs[2])
    assert np.abs(stored.astype(np.int64)).max() <= BIAS_LIMITS["int32"]
    real = decode(integer.type(integer.producers["stem"].inputs[2]), stored)
    np.testing.assert_allclose(real, 1e12, rtol=1e-3)


def test_float_inputs_and_outputs_on_request():
    graph, x = classifier(), images()
    integer = quantize(graph, x, "int8-float-io")
    assert operators(integer)[0] == "QUANTIZE" and operators(integer)[-1] == "DEQUANTIZE"
    assert integer.input_types[0].dtype == integer.output_types[0].dtype == "float32"
    assert integer.type("stem").dtype == "int8"
    assert interpret(integer, x)[0].dtype == np.float32
    plain = quantize(graph, x)
    np.testing.assert_array_equal(real_outputs(integer, x), real_outputs(plain, x))


def test_a_layer_left_in_float_is_fenced_by_conversions():
    graph, x = classifier(), images()
    integer = quantize(graph, x, Recipe((Rule(), Rule(scope="mix", dtype="float32"))))
    at = operators(integer).index("DEQUANTIZE")
    assert operators(integer)[at : at + 3] == ["DEQUANTIZE", "CONV_2D", "QUANTIZE"]
    assert operators(integer).count("QUANTIZE") == 1
    assert integer.type("mix").dtype == "float32"
    weights = integer.producers["mix"].inputs[1]
    np.testing.assert_array_equal(
        integer.data(weights), graph.data(graph.producers["mix"].inputs[1])
    )


def test_a_value_read_at_two_scales_is_converted_once_for_each():
    """SOFTMAX makes 1/256, CONCATENATION reads the wide scale it shares with the other branch."""
    net = Net("demand")
    probabilities = net.add("SOFTMAX", [net.dense(net.x, 4, "dense")], "softmax")
    wide = net.add("MUL", [probabilities, net.b.constant(np.float32([100]))], "wide")
    both = net.add("CONCATENATION", [probabilities, wide, probabilities], "both", axis=1)
    integer = quantize(net.build(both), images())
    assert operators(integer).count("QUANTIZE") == 1
    left, middle, right = integer.types(integer.producers["both"].inputs)
    assert left.quant == middle.quant == right.quant == integer.type("both").quant


def test_a_constant_operand_becomes_an_integer_constant():
    integer = quantize(branches(), images())
    values = [integer.values[n] for n in integer.producers["louder"].inputs]
    constant = next(v for v in values if v.is_constant)
    assert constant.type.dtype == "int8"


def test_the_input_of_a_channels_first_model_stays_marked():
    from smidgen.ir import GraphBuilder, TensorType
    from smidgen.ops import get_op

    b = GraphBuilder("first")
    x = b.input("x", TensorType((1, 4, 4, 3), "float32"), channels_first=True)
    graph = b.build([b.add(get_op("RELU")(), [x], name="y")])
    samples = normal(3, 10, 3, 4, 4)
    integer = quantize(graph, samples)
    assert integer.channels_first == graph.channels_first == {"x"}
    error = real_outputs(integer, samples) - real_outputs(graph, samples)
    assert np.abs(error).max() < 0.05


def test_equal_weights_at_equal_scales_are_stored_once():
    graph = chain()
    integer = quantize(graph, images())
    assert len({id(v.data) for v in integer.values.values() if v.is_constant}) == sum(
        v.is_constant for v in integer.values.values()
    )


def test_the_state_of_svdf_has_zero_point_0_and_its_bias_the_scale_of_its_second_sum() -> None:
    net = Net("keyword", shape=(1, 10))
    past = net.b.state("past", TensorType((1, 48), "float32"))
    operands = [net.x, net.constant(8, 10), net.constant(8, 6), net.constant(4), past]
    y, new = net.b.add_multi(get_op("SVDF")(2, "RELU"), operands, name="svdf")
    net.b.becomes(past, new)
    graph = net.b.build([y])
    x = normal(3, 200, 10)
    int8 = quantize(graph, x, stream=True)
    (node,) = int8.nodes
    _, _, time, bias, state = (int8.type(n).quant for n in node.inputs if n is not None)
    assert time is not None and bias is not None and state is not None
    assert state.zero_point == 0
    assert bias.scale == pytest.approx(state.scale * time.scale, rel=1e-6)
    (want,) = interpret(graph, x, stream=True)
    (got,) = interpret(int8, encode(int8.input_types[0], x), stream=True)
    error = np.abs(decode(int8.output_types[0], got) - want)
    assert error.max() < 0.05 * np.abs(want).max()
