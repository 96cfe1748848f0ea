"""The report of layer errors finds the layer that was damaged, and says how."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smidgen.ir import QuantParams
from smidgen.transforms.quantize import Recipe, Rule, layer_errors, prepare, quantize, snr_db
from tests.transforms.quantize.networks import Net, branches, chain, classifier, images, replaced


def errors(graph, integer):
    return layer_errors(prepare(graph), integer, [images(32, seed=8)])


def retyped(graph, name, quant):
    value = graph.values[name]
    changed = dataclasses.replace(value, type=value.type.with_quant(quant))
    return dataclasses.replace(graph, values={**graph.values, name: changed})


def test_every_integer_layer_is_there_worst_first():
    found = errors(classifier(), quantize(classifier(), images()))
    assert [e.own_snr_db for e in found] == sorted(e.own_snr_db for e in found)
    assert {e.value for e in found} == {n.outputs[0] for n in prepare(classifier()).nodes}
    assert min(e.own_snr_db for e in found) > 20
    assert all(0 <= e.clipped <= 1 for e in found)


@pytest.mark.parametrize("layer", ["stem", "spread", "mix", "head"])
def test_damaged_weights_are_found(layer):
    graph = classifier()
    integer = quantize(graph, images())
    name = integer.producers[layer].inputs[1]
    coarse = np.round(integer.data(name) / 64.0) * 64  # two bits are left
    worst = errors(graph, replaced(integer, {name: np.clip(coarse, -127, 127)}))[0]
    assert worst.value == layer
    assert worst.cause == "rounding of the weights"


def test_a_range_that_is_too_narrow_is_found():
    graph = classifier()
    integer = quantize(graph, images())
    quant = integer.type("mix").quant
    # SOFTMAX and others would follow; the sum reads whatever scale "mix" has.
    narrow = retyped(integer, "mix", QuantParams.per_tensor(quant.scale / 20, 0))
    worst = errors(graph, narrow)[0]
    assert worst.value == "mix"
    assert worst.clipped > 0.3
    assert "beyond the calibrated range" in worst.cause


def test_a_range_that_is_much_too_wide_is_found():
    found = {e.value: e for e in errors(branches(), quantize(branches(), images()))}
    assert found["narrow"].own_snr_db < found["louder"].own_snr_db
    assert "shared with" in found["narrow"].cause


def test_one_scale_for_unequal_channels_is_found():
    integer = quantize(chain(), images(), Recipe((Rule(weights="per-tensor"),)))
    causes = {e.cause for e in errors(chain(), integer)}
    assert "one weight scale for channels of very different size; use per-channel" in causes


def test_outliers_are_found():
    net = Net("outliers")
    square = net.add("MUL", [net.x, net.x], "square")
    graph = net.build(net.add("MUL", [square, square], "fourth"))
    found = {e.value: e for e in errors(graph, quantize(graph, images(), "int8-min-max"))}
    assert found["fourth"].cause.startswith("outliers: the largest value is ")


def test_the_error_of_earlier_layers_is_told_from_a_layers_own():
    graph = classifier()
    integer = quantize(graph, images())
    name = integer.producers["stem"].inputs[1]
    found = errors(graph, replaced(integer, {name: integer.data(name) * 0 + 50}))
    by_value = {e.value: e for e in found}
    assert found[0].value == "stem"
    assert by_value["mix"].own_snr_db > 30 > by_value["mix"].snr_db + 10
    assert by_value["mix"].cause == "error inherited from the layers before"


def test_layers_in_float_are_not_listed():
    recipe = Recipe((Rule(), Rule(scope="mix", dtype="float32")))
    found = errors(classifier(), quantize(classifier(), images(), recipe))
    assert "mix" not in {e.value for e in found}
    assert "stem" in {e.value for e in found}


def test_signal_to_noise():
    signal = np.array([3.0, 4.0])
    assert snr_db(signal, signal) == 200
    assert snr_db(signal, np.zeros(2)) == pytest.approx(0)
    assert snr_db(signal, signal * 1.01) == pytest.approx(40)
    assert snr_db(np.zeros(2), np.ones(2)) < -200
