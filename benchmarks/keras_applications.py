"""Every architecture of Keras Applications under 10 M parameters: loaded, compared, quantized.

Weights are random: what is measured is whether the front end says what Keras says, and what int8
costs an untrained network.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._shared import keep, table
from smidgen import Dataset, Graph, load, quantize, run, write_tflite
from smidgen.data import decode, to_model
from smidgen.facts import describe
from smidgen.transforms.quantize import snr_db

SIZE = 64  # height and width of the images: the architectures take any
CALIBRATION, TEST = 24, 8
# Between the logits of Keras and those of the float graph, relative to the largest.
TOLERANCE = 1e-4
ARCHITECTURES = (
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0",
    "EfficientNetB1", "EfficientNetV2B0", "EfficientNetV2B1", "NASNetMobile", "DenseNet121",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What became of one architecture.

    Args:
        parameters: as Keras counts them.
        graph: in float, as loaded.
        difference: the largest of a logit, relative to the largest logit.
        load_seconds, quantize_seconds: of wall time.
        snr: of the int8 logits, in dB.
        file_bytes: of the int8 `.tflite`.
    """

    parameters: int
    graph: Graph
    difference: float
    load_seconds: float
    quantize_seconds: float
    snr: float
    file_bytes: int


def images(seed: int, count: int) -> np.ndarray[Any, Any]:
    """Smooth random images (n, SIZE, SIZE, 3), 0 to 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, SIZE // 8, SIZE // 8, 3))
    return coarse.repeat(8, 1).repeat(8, 2).astype(np.float32)


def build(name: str) -> Any:
    """The architecture with random weights, batch norms settled on random images.

    Without that, activations would vanish or grow from layer to layer, and nothing could be
    compared.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import keras.src.applications.nasnet as nasnet

    if name == "NASNetMobile":  # kept from the torch backend for its training, not its inference
        nasnet.backend = _AnyBackend(nasnet.backend)
    keras.utils.set_random_seed(7)
    model = getattr(keras.applications, name)(
        input_shape=(SIZE, SIZE, 3), weights=None, classes=10, classifier_activation=None
    )
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            if layer.gamma is not None:
                layer.gamma.assign(rng.uniform(0.7, 1.3, layer.gamma.shape))
            if layer.beta is not None:
                layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
    model(images(1, 16), training=True)
    return model


class _AnyBackend:
    """A Keras backend that does not say its name."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def backend(self) -> str:
        return "any"


def measure(name: str) -> Result:
    """Load, compare and quantize one architecture.

    Raises:
        AssertionError: if the float graph does not agree with Keras.
    """
    model = build(name)
    test = images(2, TEST)
    start = time.monotonic()
    graph = load(model)
    load_seconds = time.monotonic() - start
    want = model(test, training=False).detach().numpy()
    got = run(graph, test)[0]
    difference = float(np.abs(got - want).max() / np.abs(want).max())
    assert np.ptp(want, axis=0).min() > 0, "logits that do not depend on the image prove nothing"
    assert difference <= TOLERANCE, f"{name} differs from Keras by {difference:.2g}"
    start = time.monotonic()
    integer = quantize(graph, Dataset(images(3, CALIBRATION)))
    quantize_seconds = time.monotonic() - start
    small = decode(integer.output_types[0], run(integer, to_model(integer, test))[0])
    return Result(
        model.count_params(),
        graph,
        difference,
        load_seconds,
        quantize_seconds,
        snr_db(got, small),
        len(write_tflite(integer, compact=True)),
    )


def main() -> None:
    rows = []
    for name in ARCHITECTURES:
        r = measure(name)
        macs = describe(r.graph).macs / 1e6
        rows.append(
            (
                name, r.parameters, len(r.graph.nodes), f"{macs:.1f}", f"{r.difference:.1e}",
                f"{r.load_seconds:.1f}", f"{r.quantize_seconds:.1f}", f"{r.snr:.1f}", r.file_bytes,
            )
        )  # fmt: skip
        print(rows[-1], flush=True)
    columns = (
        "architecture", "parameters", "operators", "M MACs", "difference", "load s", "PTQ s",
        "int8 SNR dB", "int8 bytes",
    )  # fmt: skip
    note = (
        f"Images of {SIZE} x {SIZE}, 10 classes, random weights with batch norms settled on random "
        "images. The difference is the largest between the logits of Keras and of the float graph, "
        f"relative to the largest logit; {TOLERANCE} is allowed. PTQ calibrates on {CALIBRATION} "
        "images; the signal-to-noise ratio of the int8 logits is that of random networks, whose "
        "layers amplify noise: it says nothing about trained ones.\n"
    )
    keep(
        "keras_applications",
        "Keras Applications under 10 M parameters",
        "python -m benchmarks keras_applications",
        [table(columns, rows), note],
    )
