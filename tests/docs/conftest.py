"""What the documentation takes for granted: a trained model, the same in int8, and its data."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

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
    (folder / "model.onnx").write_bytes(b"\x08\x07")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter1.tex").write_text("work", encoding="utf-8")
    return folder


@pytest.fixture
def folder(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reader's folder, entered."""
    shutil.copytree(reader, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
