"""What the documentation takes for granted: a trained model, the same in int8, and its data."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.onnx.models import Quantized, make, node

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anybody imports keras


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder; copy it before writing to it.

    `model.keras` and `samples.npz` are the demo's, trained for a moment; `model.tflite` is the
    former quantized on the latter. The other files are what the FAQ warns of.
    """
    from smidgen import demo, load, quantize, write_tflite

    folder = tmp_path_factory.mktemp("reader")
    data = demo.digits()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own
        patch.setattr(demo, "EPOCHS", 4)
        demo.train(data).save(folder / "model.keras")
    np.savez(folder / "samples.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    write_tflite(quantize(load(folder / "model.keras"), data), folder / "model.tflite")
    np.savez(folder / "flat.npz", x=data.x.reshape(len(data), -1))
    for name, model in onnx_models().items():
        (folder / name).write_bytes(model.SerializeToString())
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", x=rng.normal(0, 1, (64, 3, 16, 16)).astype(np.float32))
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter1.tex").write_text("work", encoding="utf-8")
    return folder


def onnx_models() -> dict[str, Any]:
    """Models of a few nodes: of images, with open shapes, and one that is quantized."""
    rng = np.random.default_rng(1)
    constants = {
        "w": rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32),
        "b": rng.normal(0, 0.1, 8).astype(np.float32),
        "v": rng.normal(0, 0.3, (8, 4)).astype(np.float32),
    }
    image = [
        node("Conv", "image w b", "c", pads=[1] * 4, strides=[2, 2]),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f v", "scores"),
    ]
    rates = [
        node("Cast", "rate", "real", to=1),
        node("Div", "samples real", "scaled"),
        node("Sigmoid", "scaled", "y"),
    ]
    small = Quantized(2)
    x = small.input("image", 1, 3, 16, 16)
    y = small.add(
        "Conv", f"{x} {small.weights('w', 8, 3, 3, 3, axis=0)} {small.floats('b', 8)}", "y"
    )
    sizes: dict[str, list[int | str]] = {"samples": ["batch", "length"], "rate": [1]}
    return {
        "model.onnx": make(image, {"image": ["batch", 3, 16, 16]}, ["scores"], constants),
        "rates.onnx": make(rates, sizes, ["y"], dtypes={"rate": 7}),
        "quantized.onnx": small.model(small.pair(y, 0.1, 0)),
    }


@pytest.fixture
def folder(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reader's folder, entered."""
    shutil.copytree(reader, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
