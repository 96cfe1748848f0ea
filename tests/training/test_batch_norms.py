"""Batch normalizations put back where a file has folded them away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen import Dataset, Graph, load, random_inputs
from smidgen.interpreter import interpret
from smidgen.training.batch_norms import SAMPLES, with_batch_norms
from smidgen.training.settings import Training
from smidgen.transforms.rewrites import simplify
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch


def norms(graph: Graph) -> int:
    return sum(node.op.name == "BATCH_NORM" for node in graph.nodes)


def test_what_is_restored_computes_the_same_and_folds_to_what_it_was(shared: Path) -> None:
    folded = load(shared / "models/mlperf_tiny/pretrainedResnet.tflite")
    (x,) = random_inputs(folded, 12)
    restored = with_batch_norms(folded, Dataset(x))
    assert norms(folded) == 0
    assert norms(restored) == norms(load(shared / "models/mlperf_tiny/pretrainedResnet.h5")) == 7
    for node in restored.nodes:
        if node.op.name == "BATCH_NORM":
            weights = restored.data(restored.producers[node.inputs[0]].inputs[1])
            np.testing.assert_allclose(np.square(weights).sum((1, 2, 3)), 2, rtol=1e-5)
    (want,), (got,) = interpret(folded, [x]), interpret(restored, [x])
    np.testing.assert_allclose(got, want, atol=1e-5)
    again = simplify(restored)
    assert [n.op for n in again.nodes] == [n.op for n in simplify(folded).nodes]
    np.testing.assert_allclose(interpret(again, [x])[0], want, atol=1e-5)


def test_its_moments_are_those_of_the_samples() -> None:
    data = digits()
    restored = with_batch_norms(simplify(network()), data)
    node = next(n for n in restored.nodes if n.op.name == "BATCH_NORM")
    chosen = np.random.default_rng(0).permutation(len(data.x))[:SAMPLES]
    seen = []
    interpret(
        restored,
        [data.x[chosen]],
        observe=lambda name, array: seen.append(array) if name == node.inputs[0] else None,
    )
    rows = np.concatenate(seen).reshape(-1, 8).astype(np.float64)
    np.testing.assert_allclose(restored.data(node.inputs[3]), rows.mean(0), atol=1e-5)
    np.testing.assert_allclose(restored.data(node.inputs[4]), rows.var(0), rtol=1e-4)


def test_its_moments_are_those_of_samples_as_training_sees_them() -> None:
    data = digits()
    plain, brighter = (
        with_batch_norms(simplify(network()), data, Training(augment=augment))
        for augment in (None, lambda x, rng: 2 * x)
    )
    doubled = with_batch_norms(simplify(network()), Dataset(2 * data.x, data.y))
    for a, b, c in zip(plain.nodes, brighter.nodes, doubled.nodes, strict=True):
        if a.op.name == "BATCH_NORM":
            moments = [
                [g.data(n.inputs[i]) for i in (3, 4)]
                for g, n in zip((plain, brighter, doubled), (a, b, c), strict=True)
            ]
            np.testing.assert_array_equal(moments[1], moments[2])
            assert not np.allclose(moments[0], moments[1])
    (x,) = random_inputs(plain, 4)
    np.testing.assert_allclose(interpret(plain, [x])[0], interpret(brighter, [x])[0], atol=1e-5)


def test_a_network_that_has_some_is_left_alone() -> None:
    graph = network()
    assert with_batch_norms(graph, digits()) is graph


def test_the_last_layer_gets_none(shared: Path) -> None:
    folded = load(shared / "models/mlperf_tiny/kws_ref_model_float32.tflite")
    (x,) = random_inputs(folded, 8)
    restored = with_batch_norms(folded, Dataset(x))
    last = restored.producers[restored.outputs[0]]
    assert last.op.name != "BATCH_NORM"
    assert norms(restored) == sum(
        n.op.name in ("CONV_2D", "DEPTHWISE_CONV_2D") for n in folded.nodes
    )
