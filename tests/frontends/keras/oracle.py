"""Real Keras, on the torch backend, as the oracle of the front end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.frontends.keras import load_keras
from smidgen.interpreter import interpret
from smidgen.ir import Graph

TOLERANCE = 1e-4
SAMPLES = 3


def random_inputs(model: Any, seed: int = 0, scale: float = 1.0) -> list[np.ndarray[Any, Any]]:
    """One array of SAMPLES random samples for each input of a Keras model."""
    rng = np.random.default_rng(seed)
    shapes = [(SAMPLES, *tensor.shape[1:]) for tensor in model.inputs]
    return [rng.normal(0, scale, shape).astype(np.float32) for shape in shapes]


def randomize(model: Any, seed: int = 0) -> None:
    """Weights that are not what an initializer makes, so that a mix-up of two shows."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "variance" in variable.path:
            value = rng.uniform(0.3, 2.0, variable.shape)
        else:
            fan_in = max(1, int(np.prod(variable.shape[:-1])))
            value = rng.normal(0, 1.0 / np.sqrt(fan_in), variable.shape)
        variable.assign(value.astype(variable.dtype))


def assert_agree(
    graph: Graph, model: Any, inputs: list[np.ndarray[Any, Any]] | None = None
) -> None:
    """The graph computes what the model computes, in every output, in `model.outputs`' order."""
    inputs = random_inputs(model) if inputs is None else inputs
    listed = isinstance(getattr(model, "_inputs_struct", None), (list, tuple))
    want = model(inputs if listed else inputs[0], training=False)
    want = [want[key] for key in sorted(want)] if isinstance(want, dict) else want
    want = list(want) if isinstance(want, (list, tuple)) else [want]
    got = interpret(graph, inputs)
    assert len(got) == len(want)
    for ours, theirs in zip(got, want, strict=True):
        reference = theirs.detach().numpy()
        assert ours.shape == reference.shape
        assert np.ptp(reference) > 0, "an output that is constant proves nothing"
        np.testing.assert_allclose(ours, reference, rtol=TOLERANCE, atol=TOLERANCE)


def saved(model: Any, folder: Path, suffix: str) -> Path:
    """The model as a file of this kind."""
    path = folder / f"model{suffix}"
    model.save(path)
    return path


def assert_file_agrees(model: Any, folder: Path, suffix: str) -> Graph:
    """Randomize, save, load and compare; the graph for more questions."""
    randomize(model)
    graph = load_keras(saved(model, folder, suffix))
    assert_agree(graph, model)
    return graph


def keras_load(path: Path) -> Any:
    """A file as Keras 3 reads it, without the `groups` of Keras 2 that it rejects."""
    import keras

    return keras.models.load_model(path, compile=False, custom_objects=_groups_dropped())


def keras_load_nested(path: Path) -> Any:
    """The model inside a Keras 2 file [input, model, global average pooling], without the pooling.

    Keras 3 takes neither this nesting nor layers called "layer1/conv": it gets the inside.
    """
    import h5py
    import keras

    with h5py.File(path) as h5:
        outer = json.loads(h5.attrs["model_config"])["config"]["layers"]
        (group,) = (g for g in h5["model_weights"].values() if len(g.attrs["weight_names"]))
        arrays = [group[name][()] for name in group.attrs["weight_names"]]
    assert [layer["class_name"] for layer in outer[1:]] == ["Functional", "GlobalAveragePooling2D"]
    text = re.sub(r"(?<=layer\d)/|(?<=conv)/", "_", json.dumps(outer[1]))
    inner = keras.Model.from_config(json.loads(text)["config"], _groups_dropped())
    weights = inner.trainable_weights + inner.non_trainable_weights
    for variable, array in zip(weights, arrays, strict=True):
        variable.assign(array)
    return inner


def _groups_dropped() -> dict[str, Any]:
    """For Keras: a DepthwiseConv2D that takes the `groups` of Keras 2, which Keras 3 rejects."""
    import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        def __init__(self, groups: int = 1, **config: Any) -> None:
            super().__init__(**config)

    return {"DepthwiseConv2D": DepthwiseConv2D}
