"""Calibration: one pass, ranges of every activation, and samples that cannot be right."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.errors import DataError
from smidgen.interpreter import interpret
from smidgen.ir import TensorType
from smidgen.transforms.quantize import prepare, quantize
from smidgen.transforms.quantize.calibrate import calibrate, means
from smidgen.transforms.quantize.observers import OBSERVERS, start
from tests.transforms.quantize.networks import Net, branches, classifier, images


def everything(graph, samples):
    seen = {}
    interpret(graph, samples, observe=seen.__setitem__)
    return seen


@pytest.mark.parametrize("observer", OBSERVERS)
def test_ranges_are_those_of_all_samples_at_once(observer):
    graph, x = prepare(classifier()), images(300)  # several batches
    ranges = calibrate(graph, [x], dict.fromkeys(graph.values, observer))
    for name, array in everything(graph, [x]).items():
        seen = start(observer)
        seen.add(array)
        assert ranges[name] == pytest.approx(OBSERVERS[observer](seen), rel=1e-5), name


def test_each_value_has_the_observer_it_wants():
    graph, x = prepare(classifier()), images()
    ranges = calibrate(graph, [x], {"stem": "mse"})
    whole = calibrate(graph, [x])
    assert ranges["stem"][1] < whole["stem"][1]
    assert {k: v for k, v in ranges.items() if k != "stem"} == {
        k: v for k, v in whole.items() if k != "stem"
    }


def test_the_range_of_every_activation_holds_zero():
    net = Net("shifted")
    shifted = net.add("ADD", [net.x, net.b.constant(np.float32([100]))], "shifted")
    assert calibrate(net.build(shifted), [images()])["shifted"][0] == 0


def test_progress_counts_all_samples():
    told = []
    calibrate(prepare(classifier()), [images(600)], progress=lambda *pair: told.append(pair))
    assert told[-1] == (600, 600)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_means_are_those_of_all_samples():
    graph, x = prepare(classifier()), images(600)
    found = means(graph, [x], {"stem", "x"})
    seen = everything(graph, [x])
    assert set(found) == {"stem", "x"}
    for name, mean in found.items():
        np.testing.assert_allclose(mean, seen[name].mean(axis=0, keepdims=True), atol=1e-5)


def test_several_inputs_are_calibrated_together():
    net = Net("two")
    other = net.b.input("y", TensorType((1, 8, 8, 3), "float32"))
    graph = net.build(net.add("ADD", [net.x, other], "sum"))
    x, y = images(seed=1), images(seed=2) * 30
    integer = quantize(graph, [x, y])
    scales = [integer.type(n).quant.scale for n in integer.inputs]
    assert scales[1] > 20 * scales[0]
    with pytest.raises(DataError, match="an array for each of x, y"):
        quantize(graph, x)
    with pytest.raises(DataError, match="different numbers"):
        quantize(graph, [x, y[:3]])


def test_samples_are_drawn_once_for_all_and_reproducibly():
    graph, x = branches(), images(300)
    one, two, other = (quantize(graph, x, samples=20, seed=seed) for seed in (3, 3, 4))
    assert one.values["narrow"].type == two.values["narrow"].type
    assert one.values["narrow"].type != other.values["narrow"].type


def test_samples_that_make_an_activation_infinite_are_refused_by_name():
    net = Net("loud")
    big = net.b.constant(np.float32([3e38]))
    y = net.add("MUL", [net.add("MUL", [net.x, big], "loud"), big], "louder")
    with pytest.raises(DataError, match="loud"), np.errstate(over="ignore", invalid="ignore"):
        quantize(net.build(y), images())


@pytest.mark.parametrize("count", [0, -1])
def test_no_samples_are_refused(count):
    with pytest.raises(DataError, match="at least 1"):
        quantize(classifier(), images(), samples=count)
