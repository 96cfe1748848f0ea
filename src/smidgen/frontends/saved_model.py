"""A TensorFlow SavedModel folder → Graph, by way of the user's own TensorFlow.

A SavedModel is a graph of TensorFlow operators and their kernels' names: only TensorFlow knows
what they all mean. Its own converter writes a float `.tflite`, which is read like any other.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from smidgen.errors import ToolMissingError, UnsupportedModelError
from smidgen.ir import Graph

MARKER = "saved_model.pb"
SECONDS = 600.0
_CONVERT = """
import pathlib, sys
import tensorflow as tf
model = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1]).convert()
pathlib.Path(sys.argv[2]).write_bytes(model)
"""


def is_saved_model(path: Path) -> bool:
    """Whether this is a SavedModel's folder, or the main file in it."""
    return (path / MARKER).is_file() or path.name == MARKER


def load_saved_model(path: Path, *, signature: str | None = None) -> Graph:
    """Convert a SavedModel to a float `.tflite` in a process of its own, and read that.

    Args:
        path: its folder, or `saved_model.pb` in it.
        signature: which of the model's functions, by its key.

    Returns:
        The graph, named after the folder.

    Raises:
        ToolMissingError: without TensorFlow.
        UnsupportedModelError: if TensorFlow cannot convert it, in its words.
    """
    from smidgen.frontends.tflite import read

    folder = path.parent if path.name == MARKER else path
    if importlib.util.find_spec("tensorflow") is None:
        raise ToolMissingError(
            "TensorFlow",
            purpose=f"converting the SavedModel {folder.name!r}",
            hint="install tensorflow here, or convert it where it is installed with "
            f"tf.lite.TFLiteConverter.from_saved_model({folder.name!r}) and load the .tflite",
        )
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / f"{folder.resolve().name}.tflite"
        command = [sys.executable, "-c", _CONVERT, str(folder.resolve()), str(file)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise UnsupportedModelError(
                f"TensorFlow's converter took over {SECONDS:.0f} seconds",
                where=str(folder),
                hint="convert it to a float .tflite yourself and load that",
            ) from None
        if done.returncode or not file.is_file():
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise UnsupportedModelError(
                f"TensorFlow's converter failed: {last[:300]}",
                where=str(folder),
                hint="convert it to a float .tflite yourself and load that",
            )
        return read(file, signature=signature)
