"""Real files of several Keras versions, and Keras 2's way of writing, against real Keras."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.frontends.keras import load_keras
from smidgen.interpreter import interpret
from tests.frontends.keras.oracle import TOLERANCE, assert_agree, random_inputs

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def groups_dropped() -> dict[str, Any]:
    """For Keras: a DepthwiseConv2D that takes the `groups` of Keras 2, which Keras 3 rejects."""
    import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        def __init__(self, groups: int = 1, **config: Any) -> None:
            super().__init__(**config)

    return {"DepthwiseConv2D": DepthwiseConv2D}


def keras_load(path: Path) -> Any:
    import keras

    return keras.models.load_model(path, compile=False, custom_objects=groups_dropped())


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
    """Keras 3 takes neither this nesting nor layers called "layer1/conv": it gets the inside."""
    import h5py
    import keras

    file = shared / "zoo/st_yamnet_256_f32.h5"
    with h5py.File(file) as h5:
        outer = json.loads(h5.attrs["model_config"])["config"]["layers"]
        group = h5["model_weights/model_2"]
        arrays = [group[name][()] for name in group.attrs["weight_names"]]
    assert [layer["class_name"] for layer in outer[1:]] == ["Functional", "GlobalAveragePooling2D"]
    text = re.sub(r"(?<=layer\d)/|(?<=conv)/", "_", json.dumps(outer[1]))
    inner = keras.Model.from_config(json.loads(text)["config"], groups_dropped())
    weights = inner.trainable_weights + inner.non_trainable_weights
    for variable, array in zip(weights, arrays, strict=True):
        variable.assign(array)
    features = inner([(x := random_inputs(inner)[0])], training=False).detach().numpy()
    got = interpret(load_keras(file), x)[0]
    np.testing.assert_allclose(got, features.mean((1, 2)), rtol=TOLERANCE, atol=TOLERANCE)
    assert np.ptp(got) > 0.1


def test_the_two_vww_files_are_one_model(shared: Path) -> None:
    folder = shared / "models/mlperf_tiny"
    x = np.random.default_rng(0).uniform(0, 1, (4, 96, 96, 3)).astype(np.float32)
    a = interpret(load_keras(folder / "vww_96.h5"), x)[0]
    b = interpret(load_keras(folder / "vww_96.keras"), x)[0]
    assert np.array_equal(a, b)
