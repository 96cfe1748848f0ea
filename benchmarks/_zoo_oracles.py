"""What a model file's own framework or runtime computes: the oracle of `make zoo`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen import Graph
from smidgen.errors import ForeignRuntimeError

Array = np.ndarray[Any, Any]


# Files of Keras 2 that Keras 3 reads by the model inside only, which lacks the last pooling.
NESTED = ("st_yamnet_256_f32.h5",)


@dataclass(frozen=True)
class Answer:
    """Outputs of a foreign runtime, in the layout that the source model gives them."""

    runtime: str
    outputs: list[Array]


def source_layout(graph: Graph, names: Sequence[str], arrays: Sequence[Array]) -> list[Array]:
    """Channels-last arrays of a graph's inputs or outputs as the source model has them."""
    return [
        np.moveaxis(a, -1, 1) if name in graph.channels_first else a
        for name, a in zip(names, arrays, strict=True)
    ]


def answer(
    path: Path, graph: Graph, inputs: Sequence[Array], fixed: dict[str, Any], *, stream: bool
) -> Answer:
    """Run a file on its own runtime.

    Args:
        path: of a `.tflite`, `.onnx`, `.keras` or `.h5` file.
        graph: what Smidgen read from it.
        inputs: an array (n, ...) for each input of the graph, channels last.
        fixed: inputs of the file that the graph does not have, by name.
        stream: the samples are consecutive steps of a model with states.

    Raises:
        ForeignRuntimeError: no runtime at hand runs it.
    """
    given = source_layout(graph, graph.inputs, inputs)
    if path.suffix == ".tflite":
        return _tflite(path, given, stream)
    if path.suffix == ".onnx":
        return _onnx(path, given, fixed)
    if path.suffix in (".pth", ".th"):
        return _torch(path, given)
    return _keras(path, given)


def _tflite(path: Path, inputs: list[Array], stream: bool) -> Answer:
    from smidgen.verify.runtimes import TITLES, RuntimeName, RuntimePool

    order: tuple[RuntimeName, ...] = ("tflm", "litert_ref")
    refusals = []
    with RuntimePool(timeout=600) as pool:
        for name in order:
            try:
                outputs = pool.run(name, path.read_bytes(), inputs, stream=stream).outputs
            except ForeignRuntimeError as error:
                refusals.append(str(error))
                continue
            return Answer(TITLES[name], outputs)
    raise ForeignRuntimeError("; ".join(refusals))


def _onnx(path: Path, inputs: list[Array], fixed: dict[str, Any]) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs() if i.name not in fixed]
    parts = []
    for i in range(len(inputs[0])):
        feed = {n: a[i : i + 1] for n, a in zip(names, inputs, strict=True)}
        shapes = {x.name: x.shape for x in session.get_inputs()}
        # A graph has a batch axis that a source without one lacks.
        feed = {n: a if len(shapes[n]) == a.ndim else a[0] for n, a in feed.items()}
        feed |= {n: np.asarray(v, np.int64) for n, v in fixed.items()}
        parts.append(session.run(None, feed))
    outputs = [
        np.concatenate([np.atleast_1d(o) for o in column]) for column in zip(*parts, strict=True)
    ]
    return Answer("onnxruntime", outputs)


def _keras(path: Path, inputs: list[Array]) -> Answer:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    from tests.frontends.keras.oracle import keras_load, keras_load_nested

    title = f"Keras {keras.__version__}"
    if path.name in NESTED:
        features = keras_load_nested(path)(inputs, training=False).detach().numpy()
        return Answer(title, [features.mean((1, 2))])
    outputs = keras_load(path).predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return Answer(title, outputs if isinstance(outputs, list) else [outputs])


def _torch(path: Path, inputs: list[Array]) -> Answer:
    import torch

    from tests.frontends.torch_export.published import published

    module, _ = published(path)
    with torch.no_grad():
        outputs = module(*(torch.from_numpy(np.ascontiguousarray(a)) for a in inputs))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return Answer(f"PyTorch {torch.__version__.split('+')[0]}", [y.numpy() for y in outputs])
