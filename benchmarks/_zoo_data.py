"""Real data for the zoo's models: what calibrates them, and what they are judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks._tasks import TASKS, _file, _readers, vww
from smidgen import Dataset

GRAY = np.float32((0.299, 0.587, 0.114))


@dataclass(frozen=True)
class Judged:
    """What a model is judged on.

    Args:
        data: makes the samples.
        known: what the publisher of the zoo measured there: accuracy, or mean squared error.
        on: the test samples, in words.
    """

    data: Callable[[], Dataset]
    known: float
    on: str


def _digits(*shape: int, scale: float) -> Callable[[], Dataset]:
    """MNIST in this shape, pixels times `scale`."""

    def make() -> Dataset:
        files = (_file("mnist/mnist_train_10k.npz"), _file("mnist/mnist_test.npz"))
        images = [(f["x"].reshape(-1, *shape) * scale).astype(np.float32) for f in files]
        return Dataset(images[0], files[0]["y"], images[1], files[1]["y"])

    return make


def _cifar10_first_2000() -> Dataset:
    readers = _readers()
    x, y = readers.cifar10("train", limit=1000)
    x_test, y_test = readers.cifar10("test", limit=2000)
    return Dataset(x.astype(np.float32), y, x_test.astype(np.float32), y_test)


def _gray_people() -> Dataset:
    """Photographs as `person_detect` takes them: brightness - 128, at its scale of 1/255."""
    data = vww().data
    assert data.x_test is not None
    gray = [np.round(x @ GRAY * 255)[..., None] for x in (data.x, data.x_test)]
    x, x_test = ((g - 128).astype(np.int8) for g in gray)
    return Dataset(x, None, x_test, data.y_test)


def _people_first() -> Dataset:
    """Photographs channels-first."""
    data = vww().data
    assert data.x_test is not None
    x, x_test = (a.transpose(0, 3, 1, 2) for a in (data.x, data.x_test))
    return Dataset(x, None, x_test, data.y_test)


def _task(name: str) -> Callable[[], Dataset]:
    return lambda: TASKS[name]().data


_UNIT = 1 / 255
_MNIST = "MNIST test, 10,000"
_PEOPLE = "57 COCO photographs"
_KWS = "the official 1,000 clips"
_CIFAR = "CIFAR-10 test, 10,000"
_AD = "196 windows of a clip"

JUDGED: dict[str, Judged] = {
    "tflm_mnist_lstm_float.tflite": Judged(_digits(28, 28, scale=_UNIT), 0.9205, _MNIST),
    "coral_keras_lstm_mnist_ptq.tflite": Judged(_digits(28, 28, scale=_UNIT), 0.8716, _MNIST),
    "tinymaix_mnist_dw_float.tflite": Judged(_digits(28, 28, 1, scale=_UNIT), 0.9322, _MNIST),
    "tinymaix_mnist_dw_int8.tflite": Judged(_digits(28, 28, 1, scale=_UNIT), 0.9314, _MNIST),
    "tinymaix_mnist_arduino_int8.tflite": Judged(_digits(28, 28, 1, scale=_UNIT), 0.8669, _MNIST),
    "onnxzoo_mnist.onnx": Judged(_digits(1, 28, 28, scale=1.0), 0.9891, _MNIST),
    "andes_resnet8.onnx": Judged(_cifar10_first_2000, 0.8790, "CIFAR-10 test, first 2,000"),
    "tflm_person_detect_int8.tflite": Judged(_gray_people, 0.825, _PEOPLE),
    "pretrainedResnet.h5": Judged(_task("IC"), 0.8719, _CIFAR),
    "pretrainedResnet.tflite": Judged(_task("IC"), 0.8719, _CIFAR),
    "pretrainedResnet_quant.tflite": Judged(_task("IC"), 0.8697, _CIFAR),
    "kws_ref_model_int8.tflite": Judged(_task("KWS"), 0.9110, _KWS),
    "vww_96.h5": Judged(_task("VWW"), 0.9298, _PEOPLE),
    "vww_96.keras": Judged(_task("VWW"), 0.9298, _PEOPLE),
    "vww_96_float.tflite": Judged(_task("VWW"), 0.9298, _PEOPLE),
    "vww_96_int8.tflite": Judged(_task("VWW"), 0.9123, _PEOPLE),
    "ad01.h5": Judged(_task("AD"), 9.71, _AD),
    "ad01_fp32.tflite": Judged(_task("AD"), 9.71, _AD),
    "ad01_int8.tflite": Judged(_task("AD"), 10.27, _AD),
}
"""By file."""

CALIBRATED: dict[str, Callable[[], Dataset]] = {
    "kws_ref_model.keras": _task("KWS"),
    "kws_ref_model_float32.tflite": _task("KWS"),
    "alibaba_open_vww.onnx": _people_first,
    "alibaba_open_ad.onnx": _task("AD"),
}
"""Data of models that have no published figure on it."""
