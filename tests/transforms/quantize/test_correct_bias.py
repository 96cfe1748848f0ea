"""Bias correction: the mean error of a layer's channels goes, and nothing else changes."""

from __future__ import annotations

import dataclasses

import numpy as np

from smidgen.data import decode, to_model
from smidgen.interpreter import interpret
from smidgen.transforms.quantize import PRESETS, Recipe, Rule, prepare, quantize
from smidgen.transforms.quantize.calibrate import calibrate
from smidgen.transforms.quantize.convert import convert
from smidgen.transforms.quantize.correct_bias import correct_bias
from tests.transforms.quantize.networks import Net, classifier, images, normal, replaced

RECIPE = Recipe((Rule(weights="per-tensor"),), correct_bias=False)


def converted(graph, x, recipe=RECIPE):
    graph = prepare(graph)
    return graph, convert(graph, calibrate(graph, [x]), recipe)


def mean_errors(graph, integer, x, name):
    """The mean error of each channel of an activation, in real numbers."""
    real, got = {}, {}
    interpret(graph, x, observe=real.__setitem__)
    interpret(integer, to_model(integer, x), observe=got.__setitem__)
    error = decode(integer.type(name), got[name]) - real[name]
    return error.reshape(-1, error.shape[-1]).mean(axis=0)


def damaged(graph, integer, layer, by):
    """The integer graph with a bias moved by so many steps."""
    name = integer.producers[layer].inputs[2]
    return replaced(integer, {name: integer.data(name) + np.asarray(by)})


def test_a_shifted_bias_is_put_right():
    """Whatever shifted it: the layers with a bias have hardly a mean error left afterwards."""
    net = Net("linear")
    a = net.conv(net.x, 6, "first", activation="NONE")
    graph = net.build(net.conv(a, 4, "second", activation="NONE"))
    x = images(80)
    graph, integer = converted(graph, x)
    shifted = damaged(graph, integer, "first", 4000 * np.array([1, -1, 2, 0, 3, -2]))
    fixed = correct_bias(graph, shifted, [x])
    for name in ("first", "second"):
        before = np.abs(mean_errors(graph, shifted, x, name)).max()
        after = np.abs(mean_errors(graph, fixed, x, name)).max()
        assert before > 10 * after, name
        assert after < integer.type(name).quant.scale


def test_only_biases_change():
    x = images()
    graph, integer = converted(classifier(), x)
    fixed = correct_bias(graph, integer, [x])
    biases = {n.inputs[2] for n in integer.nodes if len(n.inputs) == 3}
    changed = {
        name
        for name, value in integer.values.items()
        if value.data is not None and not np.array_equal(value.data, fixed.data(name))
    }
    assert changed and changed <= biases
    assert fixed.nodes == integer.nodes
    assert all(fixed.type(n) == integer.type(n) for n in integer.values)


def test_a_layer_without_a_bias_or_with_a_shared_one_stays_as_it_is():
    net = Net("shared")
    bias = net.b.constant(normal(1, 4), name="common")
    w, v = net.constant(4, 1, 1, 3), net.constant(4, 1, 1, 4)
    a = net.add("CONV_2D", [net.x, w, bias], "a")
    b = net.add("CONV_2D", [a, v, None], "b")
    graph, x = net.build(b), images()
    graph, integer = converted(graph, x)
    same = correct_bias(graph, integer, [x])
    assert same.producers["b"].inputs == integer.producers["b"].inputs
    shared = dataclasses.replace(
        graph, nodes=(graph.nodes[0], dataclasses.replace(graph.nodes[1], inputs=(a, v, bias)))
    )
    graph, integer = converted(shared, x)
    if integer.producers["a"].inputs[2] == integer.producers["b"].inputs[2]:
        raise AssertionError("two scales need two biases")


def test_samples_are_averaged_where_axis_0_is_something_else():
    """Rows of a sequence that stand on axis 0 are no samples."""
    net = Net("tokens", shape=(1, 5, 4))
    rows = net.add("RESHAPE", [net.x], "rows", new_shape=(5, 1, 4))
    w, bias = net.b.constant(normal(1, 7, 4)), net.b.constant(normal(2, 7))
    layer = net.add("FULLY_CONNECTED", [rows, w, bias], "layer", keep_num_dims=True)
    graph = net.build(net.add("RESHAPE", [layer], "back", new_shape=(1, 5, 7)))
    x = np.random.default_rng(0).normal(1, 1, (50, 5, 4)).astype(np.float32)
    graph, integer = converted(graph, x)
    name = integer.producers["layer"].inputs[2]
    before, after = integer.data(name), correct_bias(graph, integer, [x]).data(name)
    quant = integer.type(name).quant
    # Weights and inputs are off by half a step at the most: so little has to be corrected.
    assert 0 < np.abs((after - before) * np.array(quant.scales)).max() < 0.1


def test_the_presets_that_say_so_correct():
    x = images()
    plain = quantize(classifier(), x, "int8-plain")
    corrected = quantize(classifier(), x, "int8-min-max")
    assert PRESETS["int8-min-max"].correct_bias and not PRESETS["int8-plain"].correct_bias
    names = [n.inputs[2] for n in plain.nodes if len(n.inputs) == 3]
    assert any((plain.data(n) != corrected.data(n)).any() for n in names)
