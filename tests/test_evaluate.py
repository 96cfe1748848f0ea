"""Running many samples and measuring: compiled C and the interpreter agree, bad data is refused."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen import Dataset, evaluate, quantize, run
from smidgen.errors import DataError, ToolMissingError
from smidgen.evaluate import Score, real_outputs
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from tests.transforms.quantize.networks import Net, branches, classifier, images, normal


@pytest.fixture(scope="module")
def integer():
    return quantize(classifier(), images())


@pytest.mark.toolchain
@pytest.mark.parametrize("count", [1, 15, 16, 100])
def test_few_or_many_samples_give_the_same_bytes(integer, count):
    x = random_inputs(integer, count)
    np.testing.assert_array_equal(run(integer, x)[0], interpret(integer, x)[0])


def test_without_a_compiler_the_interpreter_runs(integer, monkeypatch):
    def missing(*args, **kwargs):
        raise ToolMissingError("cc")

    monkeypatch.setattr("smidgen.backends.c.host.HostModel.__init__", missing)
    x = random_inputs(integer, 40)
    np.testing.assert_array_equal(run(integer, x)[0], interpret(integer, x)[0])


def test_batches_do_not_show():
    graph, x = branches(), images(600)
    parts = [run(graph, x[i : i + 7]) for i in range(0, 600, 7)]
    for whole, pieces in zip(run(graph, x), zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 8, 8, 2), np.float32),
        np.zeros((2, 8, 8, 3), np.int8),
        np.zeros((0, 8, 8, 3), np.float32),
        [np.zeros((2, 8, 8, 3), np.float32)] * 2,
    ],
)
def test_inputs_that_do_not_fit_are_refused(bad):
    with pytest.raises(DataError):
        run(classifier(), bad)


def test_accuracy_on_the_test_samples_only():
    graph, x = classifier(), images(50)
    right = real_outputs(graph, x).argmax(-1)
    wrong = (right + 1) % 5
    labels = np.where(np.arange(50) < 40, right, wrong)
    score = evaluate(graph, Dataset(x, wrong, x, labels))
    assert score == Score("accuracy", 0.8, 50)
    assert str(score) == "accuracy 80.00% on 50 samples"
    one_hot = np.eye(5)[labels]
    assert evaluate(graph, Dataset(x, None, x, one_hot)).value == 0.8


def test_integer_outputs_are_compared_as_real_numbers(integer):
    x = images(80, seed=3)
    labels = real_outputs(classifier(), x).argmax(-1)
    assert evaluate(integer, Dataset(x, None, x, labels)).value > 0.9


def autoencoder(*, channels_first=False):
    b = GraphBuilder("same")
    x = b.input("x", TensorType((1, 4, 5, 3), "float32"), channels_first=channels_first)
    y = b.add(get_op("MUL")(), [x, b.constant(np.float32([0.5]))])
    return b.build([y], channels_first=[y] if channels_first else [])


def test_an_autoencoder_is_measured_by_its_error():
    x = normal(0, 20, 4, 5, 3)
    score = evaluate(autoencoder(), Dataset(x, None, x))
    assert score.metric == "mean squared error" and not score.higher_is_better
    assert score.value == pytest.approx(np.mean((x / 2) ** 2), rel=1e-6)
    first = np.moveaxis(x, -1, 1)
    for targets in (None, first):
        again = evaluate(autoencoder(channels_first=True), Dataset(first, None, first, targets))
        assert again.value == pytest.approx(score.value, rel=1e-6)


def test_targets_shaped_like_the_output_give_an_error():
    net = Net("regression")
    graph, x = net.build(net.dense(net.x, 1, "head")), images(30)
    targets = real_outputs(graph, x) + 2
    score = evaluate(graph, Dataset(x, None, x, targets))
    assert (score.metric, score.samples) == ("mean squared error", 30)
    assert score.value == pytest.approx(4, rel=1e-5)


def test_whole_numbers_for_one_output_are_classes():
    net = Net("binary")
    graph = net.build(net.add("LOGISTIC", [net.dense(net.x, 1, "head")], "p"))
    x = images(30)
    labels = (real_outputs(graph, x) >= 0.5).astype(np.uint8)
    assert evaluate(graph, Dataset(x, None, x, labels)).value == 1.0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Dataset(images(4)), "no test samples"),
        (Dataset(images(4), None, images(4)), "no labels"),
        (Dataset(images(4), None, images(4), np.array([0, 1, 2, 5])), "classes 0 to 4"),
        (Dataset(images(4), None, images(4), np.zeros((4, 3))), "give class indices"),
        (Dataset(images(4)[:, :4], None, images(4)[:, :4], np.zeros(4, int)), "samples of shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(data, says):
    with pytest.raises(DataError, match=says):
        evaluate(classifier(), data)
