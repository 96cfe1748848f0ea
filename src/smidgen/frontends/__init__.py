"""A file, or a live model of another framework, becomes a Graph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.ir import Graph

_SUPPORTED = "give a .tflite, .keras or .h5 file, or a live keras.Model"
_SUFFIXES_LATER = {
    ".onnx": "ONNX",
    ".pt2": "PyTorch",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".pb": "TensorFlow SavedModel",
}


def load(source: str | os.PathLike[str] | Any) -> Graph:
    """Read a trained model.

    Args:
        source: path of a `.tflite`, `.keras` or `.h5` file (told apart by their first bytes, not
            by their name), or a live `keras.Model`, or a Graph (returned as it is).

    Returns:
        The graph, channels last, batch 1.

    Raises:
        ModelFileError: if the file is missing, damaged or of no known format.
        UnsupportedModelError: if it holds something that Smidgen cannot express, by name.

    Example:
        >>> model = load("model.keras")
        >>> model.inputs
        ('input_layer',)
    """
    if isinstance(source, Graph):
        return source
    if not isinstance(source, (str, os.PathLike)):
        from smidgen.frontends.keras import from_keras_model, is_keras_model

        if is_keras_model(source):
            return from_keras_model(source)
        raise UnsupportedModelError(f"cannot load a {type(source).__name__}", hint=_SUPPORTED)
    path = Path(source)
    if path.is_dir() and (path / "saved_model.pb").is_file():
        raise UnsupportedModelError(
            "TensorFlow SavedModel folders are not supported", where=str(path), hint=_SUPPORTED
        )
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError:
        raise ModelFileError("no such file", where=str(path), hint=_SUPPORTED) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if head[4:8] == b"TFL3" or path.suffix == ".tflite":
        from smidgen.frontends.tflite import read

        return read(path)
    if (
        head == b"\x89HDF\r\n\x1a\n"
        or head[:4] == b"PK\x03\x04"
        or path.suffix
        in (
            ".h5",
            ".hdf5",
            ".keras",
        )
    ):
        from smidgen.frontends.keras import load_keras

        return load_keras(path)
    framework = _SUFFIXES_LATER.get(path.suffix.lower())
    if framework:
        raise UnsupportedModelError(
            f"{framework} files are not supported", where=str(path), hint=_SUPPORTED
        )
    raise ModelFileError("is of no known format", where=str(path), hint=_SUPPORTED)
