"""Recurrent layers, attention, normalizations and channels-first layers against real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.data import to_model
from smidgen.frontends.keras import from_keras_model, load_keras
from smidgen.interpreter import interpret
from tests.frontends.keras.more_models import CHANNELS_FIRST, MODELS
from tests.frontends.keras.oracle import (
    TOLERANCE,
    assert_agree,
    assert_file_agrees,
    random_inputs,
    randomize,
    saved,
)

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", MODELS)
def test_files_and_live_models_agree_with_keras(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    assert_file_agrees(model, tmp_path, ".keras")
    assert_agree(from_keras_model(model), model)
    if model.weights:  # one with weights tells whether they are found where .h5 files have them
        assert_agree(load_keras(saved(model, tmp_path, ".h5")), model)


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first_layers(name: str, tmp_path: Path) -> None:
    model = CHANNELS_FIRST[name]()
    randomize(model)
    graph = load_keras(saved(model, tmp_path, ".keras"))
    assert all(node.op.name != "TRANSPOSE" for node in graph.nodes)
    assert graph.channels_first == set(graph.inputs)
    (x,) = random_inputs(model)
    want = model(x, training=False).detach().numpy()
    got = interpret(graph, to_model(graph, x))[0]
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_words_become_vectors(dtype: str, tmp_path: Path) -> None:
    import keras
    from keras import layers as L

    model = keras.Sequential(
        [keras.Input((9,), dtype=dtype), L.Embedding(20, 4), L.Conv1D(3, 3), L.LSTM(4), L.Dense(2)]
    )
    randomize(model)
    words: Any = np.random.default_rng(0).integers(0, 20, (3, 9))
    for suffix in (".keras", ".h5"):
        graph = load_keras(saved(model, tmp_path, suffix))
        assert graph.input_types[0].dtype == "int32"
        got = interpret(graph, words.astype(np.int32))[0]
        want = model(words.astype(dtype), training=False).detach().numpy()
        np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_stateful_layer_remembers() -> None:
    import keras

    model = keras.Sequential(
        [keras.Input((1, 3), batch_size=1), keras.layers.LSTM(4, stateful=True)]
    )
    randomize(model)
    graph = from_keras_model(model)
    assert len(graph.states) == 2
    x = np.random.default_rng(0).normal(0, 1, (5, 1, 3)).astype(np.float32)
    want = [model(step[None]).detach().numpy() for step in x]
    got = interpret(graph, x, stream=True)[0]
    np.testing.assert_allclose(got, np.concatenate(want), rtol=TOLERANCE, atol=TOLERANCE)
