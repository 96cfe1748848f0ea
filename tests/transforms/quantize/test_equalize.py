"""Equalization: the same function in float, balanced ranges, better int8 with one weight scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smidgen.evaluate import real_outputs
from smidgen.interpreter import interpret
from smidgen.transforms.quantize import Recipe, Rule, prepare, quantize, snr_db
from smidgen.transforms.quantize.equalize import equalize
from tests.transforms.quantize.networks import Net, branches, chain, classifier, images


def ranges(graph, layer, operand_axis):
    data = graph.data(graph.producers[layer].inputs[1])
    return np.abs(np.moveaxis(data, operand_axis, 0).reshape(data.shape[operand_axis], -1)).max(1)


@pytest.mark.parametrize("network", [chain, classifier, branches])
def test_the_function_is_the_same_in_float(network):
    graph, x = prepare(network()), images()
    for want, got in zip(interpret(graph, x), interpret(equalize(graph), x), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_channels_made_and_read_have_the_same_range():
    graph = chain()
    assert np.ptp(np.log(ranges(graph, "first", 0))) > 5
    balanced = equalize(graph)
    made, read = ranges(balanced, "first", 0), ranges(balanced, "second", 3)
    np.testing.assert_allclose(made, read, rtol=1e-3)


def test_depthwise_layers_are_balanced_too():
    net = Net("depthwise")
    a = net.conv(net.x, 8, "first")
    graph = net.build(net.conv(net.depthwise(a, "middle"), 4, "last", activation="NONE"))
    factors = np.geomspace(0.01, 10, 8).astype(np.float32)
    values = dict(graph.values)
    for name, axis in ((graph.producers["middle"].inputs[1], 3),):
        data = values[name].data * factors
        values[name] = dataclasses.replace(values[name], data=data.astype(np.float32))
        assert data.shape[axis] == 8
    balanced = equalize(dataclasses.replace(graph, values=values))
    for first, last in (
        (ranges(balanced, "first", 0), ranges(balanced, "middle", 3)),
        (ranges(balanced, "middle", 3), ranges(balanced, "last", 3)),
    ):
        np.testing.assert_allclose(first, last, rtol=0.02)


def test_one_scale_for_all_weights_is_enough_afterwards():
    graph, x = chain(), images(100)
    want = real_outputs(graph, x[60:])

    def quality(equalized):
        recipe = Recipe((Rule(weights="per-tensor"),), equalize=equalized)
        return snr_db(want, real_outputs(quantize(graph, x[:60], recipe), x[60:]))

    assert quality(True) > quality(False) + 10


@pytest.mark.parametrize("activation", ["RELU6", "RELU_N1_TO_1"])
def test_what_is_not_linear_for_positive_factors_is_left_alone(activation):
    graph = chain(activation)
    balanced = equalize(graph)
    for name, value in graph.values.items():
        if value.data is not None:
            np.testing.assert_array_equal(balanced.data(name), value.data)


def test_a_layer_with_two_readers_or_that_is_an_output_is_left_alone():
    net = Net("shared")
    a = net.conv(net.x, 8, "first")
    left, right = net.conv(a, 4, "left"), net.conv(a, 4, "right")
    graph = net.build(left, right)
    np.testing.assert_array_equal(
        equalize(graph).data(graph.producers["first"].inputs[1]),
        graph.data(graph.producers["first"].inputs[1]),
    )
    both = dataclasses.replace(chain(), outputs=("first", "second"))
    name = both.producers["first"].inputs[1]
    np.testing.assert_array_equal(equalize(both).data(name), both.data(name))


def test_dead_channels_stay_finite():
    graph = chain()
    name = graph.producers["first"].inputs[1]
    data = graph.data(name).copy()
    data[3] = 0
    values = {**graph.values, name: dataclasses.replace(graph.values[name], data=data)}
    balanced = equalize(dataclasses.replace(graph, values=values))
    assert all(np.isfinite(v.data).all() for v in balanced.values.values() if v.is_constant)
