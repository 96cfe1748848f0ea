"""Every layer and every wiring against real Keras: from `.keras`, from `.h5` and live."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from smidgen.frontends import load
from smidgen.frontends.keras import from_keras_model
from smidgen.frontends.keras.convert import to_graph
from smidgen.frontends.keras.layers import rules
from smidgen.frontends.keras.layers.activation import ACTIVATIONS
from smidgen.frontends.keras.spec import parse_config
from smidgen.interpreter import interpret
from tests.conftest import REPO
from tests.frontends.keras.models import MODELS
from tests.frontends.keras.more_models import MODELS as MORE_MODELS
from tests.frontends.keras.oracle import assert_agree, assert_file_agrees, randomize

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", MODELS)
def test_keras_files_agree_with_keras(name: str, tmp_path: Path) -> None:
    assert_file_agrees(MODELS[name](), tmp_path, ".keras")


# Keras fails to save random layers as .h5.
@pytest.mark.parametrize("name", sorted(set(MODELS) - {"training_only"}))
def test_h5_files_agree_with_keras(name: str, tmp_path: Path) -> None:
    assert_file_agrees(MODELS[name](), tmp_path, ".h5")


@pytest.mark.parametrize("name", MODELS)
def test_live_models_agree_with_keras(name: str) -> None:
    model = MODELS[name]()
    randomize(model)
    assert_agree(from_keras_model(model), model)


def test_every_rule_is_exercised() -> None:
    seen: set[str] = set()

    def walk(model: object) -> None:
        for layer in model.layers:  # type: ignore[attr-defined]
            seen.add(type(layer).__name__)
            if hasattr(layer, "layers"):
                walk(layer)

    for build in (*MODELS.values(), *MORE_MODELS.values()):
        walk(build())
    seen.add("Embedding")  # tests of its own: its input is of integers
    assert set(rules()[0]) - seen == set()


def test_every_operation_is_exercised() -> None:
    seen = {
        layer["class_name"]
        for name in ("operators", "operator_activations", "functions", "extremes")
        for layer in {**MODELS, **MORE_MODELS}[name]().get_config()["layers"]
    }
    assert set(rules()[1]) - seen == set()


def test_the_documentation_lists_every_layer_and_activation() -> None:
    words = set(re.findall(r"\w+", (REPO / "docs/keras.md").read_text()))
    assert set(rules()[0]) - words == set()
    assert set(ACTIVATIONS) - words == set()


def test_hard_sigmoid_of_keras_2_has_its_own_slope() -> None:
    """Keras 3 is no oracle here: until then it was clip(0.2 x + 0.5, 0, 1)."""
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Activation",
                "config": {"activation": "hard_sigmoid", "batch_input_shape": [None, 61]},
            }
        ],
    }
    x = np.linspace(-4, 4, 61, dtype=np.float32)[None]
    for keras2, want in ((True, 0.2 * x + 0.5), (False, x / 6 + 0.5)):
        graph = to_graph(parse_config(json.dumps(config)), "old", keras2)
        np.testing.assert_allclose(interpret(graph, x)[0], np.clip(want, 0, 1), atol=1e-6)


def test_a_layer_called_twice_has_its_weights_once() -> None:
    graph = from_keras_model(MODELS["shared_layer"]())
    constants = [name.split("/")[1] for name, value in graph.values.items() if value.is_constant]
    assert sorted(constants) == ["bias", "kernel"]


def test_calls_are_in_the_order_of_the_file() -> None:
    graph = from_keras_model(MODELS["sequential"]())
    assert [node.op.name for node in graph.nodes] == [
        "CONV_2D", "RELU", "MAX_POOL_2D", "CONV_2D", "BATCH_NORM", "RELU", "RESHAPE",
        "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip


def test_names_follow_the_layers() -> None:
    import keras

    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="deep")], name="block")
    x = keras.Input((4,), name="signal")
    y = inner(keras.layers.Dense(4, name="wide", activation="relu")(x))
    graph = from_keras_model(keras.Model(x, inner(y), name="tower"))
    assert graph.name == "tower"
    assert graph.inputs == ("signal",)
    assert [node.name for node in graph.nodes] == ["wide", "wide", "block/deep", "block/deep"]
    assert [node.outputs[0] for node in graph.nodes] == [
        "wide", "wide/relu", "block/deep", "block/call_1/deep",
    ]  # fmt: skip


def test_training_only_layers_leave_no_trace() -> None:
    graph = from_keras_model(MODELS["training_only"]())
    assert [node.op.name for node in graph.nodes] == ["CONV_2D", "RESHAPE"]


def test_adapted_normalization() -> None:
    import keras

    layer = keras.layers.Normalization()
    data = np.random.default_rng(0).normal(3, 5, (100, 4)).astype(np.float32)
    layer.adapt(data)
    model = keras.Sequential([keras.Input((4,)), layer])
    graph = from_keras_model(model)
    out = interpret(graph, data)[0]
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(0), 1, atol=1e-5)


def test_padding_does_not_count_into_a_mean() -> None:
    """Padded on one side only, where Keras's torch backend is no oracle."""
    import keras

    layer = keras.layers.AveragePooling2D(3, strides=2, padding="same")
    graph = from_keras_model(keras.Sequential([keras.Input((4, 4, 1)), layer]))
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    want = [[x[0, :3, :3].mean(), x[0, :3, 2:].mean()], [x[0, 2:, :3].mean(), x[0, 2:, 2:].mean()]]
    np.testing.assert_allclose(interpret(graph, x)[0][0, :, :, 0], want, rtol=1e-6)


def test_mixed_precision_means_the_same_in_float32() -> None:
    import keras

    def build(policy: str) -> keras.Model:
        layer = keras.layers.Dense(3, dtype=keras.DTypePolicy(policy), activation="tanh")
        return keras.Sequential([keras.Input((5,)), layer])

    mixed, plain = build("mixed_bfloat16"), build("float32")
    randomize(mixed)
    plain.set_weights(mixed.get_weights())
    assert_agree(from_keras_model(mixed), plain)


def test_a_live_model_is_told_from_a_torch_module() -> None:
    """On its torch backend a Keras model is one."""
    model = MODELS["sequential"]()
    randomize(model)
    graph = load(model)
    assert_agree(graph, model)
    assert graph.type(graph.inputs[0]).shape == (1, 12, 12, 1)
