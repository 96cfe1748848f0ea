"""Real files of several Keras versions, and Keras 2's way of writing, against real Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.frontends.keras import load_keras
from smidgen.interpreter import interpret
from tests.frontends.keras.models import MODELS
from tests.frontends.keras.oracle import (
    TOLERANCE,
    assert_agree,
    keras_load,
    keras_load_nested,
    random_inputs,
    randomize,
    saved,
)

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("file", "scale"),
    [
        ("models/mlperf_tiny/pretrainedResnet.h5", 100.0),
        ("models/mlperf_tiny/kws_ref_model.keras", 10.0),
        ("models/mlperf_tiny/vww_96.keras", 1.0),
        ("models/mlperf_tiny/vww_96.h5", 1.0),
        ("models/mlperf_tiny/ad01.h5", 5.0),
        ("zoo/st_miniresnet_1_stacks.h5", 1.0),
        ("zoo/tinymaix_mbnet96_0.25.h5", 1.0),
    ],
)
def test_real_files_agree_with_keras(shared: Path, file: str, scale: float) -> None:
    model = keras_load(shared / file)
    graph = load_keras(shared / file)
    assert_agree(graph, model, random_inputs(model, scale=scale))


def test_nested_file_of_keras_2_agrees_with_keras(shared: Path) -> None:
    file = shared / "zoo/st_yamnet_256_f32.h5"
    model = keras_load_nested(file)
    x = random_inputs(model)
    want = model(x, training=False).detach().numpy().mean((1, 2))
    got = interpret(load_keras(file), x)[0]
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE)
    assert np.ptp(got) > 0.1


def test_the_two_vww_files_are_one_model(shared: Path) -> None:
    folder = shared / "models/mlperf_tiny"
    x = np.random.default_rng(0).uniform(0, 1, (4, 96, 96, 3)).astype(np.float32)
    a = interpret(load_keras(folder / "vww_96.h5"), x)[0]
    b = interpret(load_keras(folder / "vww_96.keras"), x)[0]
    assert np.array_equal(a, b)


def as_keras_2(model: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a model as Keras 2 wrote it: calls are lists, and a nested model's
    count from 1, because its definition counts as the first."""
    if model["class_name"] != "Functional":
        return model
    config = model["config"]
    layers = [as_keras_2(layer) for layer in config["layers"]]
    nested = {layer["name"] for layer in layers if layer["class_name"] == "Functional"}

    def reference(history: list[Any]) -> list[Any]:
        layer, call, tensor = history
        return [layer, call + (layer in nested), tensor, {}]

    def tensors(value: Any) -> list[list[Any]]:
        if isinstance(value, list):
            return [ref for item in value for ref in tensors(item)]
        return [reference(value["config"]["keras_history"])]

    for layer in layers:
        layer["inbound_nodes"] = [tensors(node["args"]) for node in layer["inbound_nodes"]]
    return {**model, "config": {**config, "layers": layers}}


@pytest.mark.parametrize("name", ["nested", "nested_twice", "nested_with_several_ends", "residual"])
def test_keras_2_counts_the_calls_of_nested_models_from_1(name: str, tmp_path: Path) -> None:
    import h5py

    model = MODELS[name]()
    randomize(model)
    path = saved(model, tmp_path, ".h5")
    with h5py.File(path, "r+") as file:
        config = as_keras_2(json.loads(file.attrs["model_config"]))
        assert "keras_history" not in json.dumps(config)
        file.attrs["model_config"] = json.dumps(config)
    assert_agree(load_keras(path), model)
