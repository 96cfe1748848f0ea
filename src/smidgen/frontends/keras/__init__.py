"""Keras `.keras` and `.h5` files, of Keras 2 and 3, and live Keras models → Graph.

Files are read without Keras: see docs/adr/0003-keras-files-without-keras.md.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, ToolMissingError, UnsupportedModelError
from smidgen.frontends._sandbox import run_reader
from smidgen.frontends.keras.convert import refuse_unsupported, roles_of, to_graph
from smidgen.frontends.keras.spec import parse_config, parse_model
from smidgen.frontends.keras.weights import assign_h5, assign_keras, assign_lists
from smidgen.frontends.surveyed import Surveyed
from smidgen.ir import Graph

__all__ = ["SUFFIXES", "from_keras_model", "is_keras_model", "load_keras", "survey_keras"]

SUFFIXES = (".keras", ".h5", ".hdf5")

SECONDS = 8.0  # for a file of a few megabytes; larger ones get more
MEMORY = 512 << 20


def load_keras(path: str | Path) -> Graph:
    """Load a `.keras` or `.h5` file, written by Keras 2 or 3.

    Nothing in the file is executed and Keras need not be installed. The file is read by a process
    of its own with limits on time and memory.

    Args:
        path: the file; its kind is told by its content.

    Returns:
        A float32 graph, channels last, with batch 1. It is named after the file.

    Raises:
        ModelFileError: if the file is missing, damaged or contradicts itself.
        UnsupportedModelError: if it is sound but uses something that Smidgen does not have,
            naming the layer.
        ToolMissingError: without h5py (extra `keras`).

    Example:
        >>> graph = load_keras("model.keras")
        >>> graph.type(graph.inputs[0]).shape
        (1, 8, 8, 1)
    """
    path = Path(path)
    header, arrays = _read(path)
    try:
        return _graph_of(header, arrays, path.stem)
    except SmidgenError as error:
        error.where = f"{path.name}: {error.where}" if error.where else path.name
        raise


def survey_keras(path: Path) -> list[Surveyed]:
    """Every layer of a file, those that are not read with the reason and a way out.

    Raises:
        SmidgenError: it is no such file.
    """
    from smidgen.frontends.keras.survey import survey

    header, arrays = _read(path)
    return survey(parse_config(header["config"]), lambda: _graph_of(header, arrays, path.stem))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """What the process that reads a file found in it."""
    if importlib.util.find_spec("h5py") is None:
        raise ToolMissingError("h5py", extra="keras", purpose="reading Keras files")
    if not path.is_file():
        raise ModelFileError("there is no such file", where=str(path))
    size = path.stat().st_size
    output = run_reader(
        "smidgen.frontends.keras_reader",
        path,
        seconds=SECONDS + size / (20 << 20),
        memory=MEMORY + 8 * size,
    )
    with output:
        return _received(output)


def _graph_of(header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], name: str) -> Graph:
    model = parse_config(header["config"])
    refuse_unsupported(model)
    if header["format"] == "keras":
        assign_keras(model, arrays, roles_of)
    else:
        assign_h5(model, header["lists"], arrays, roles_of)
    return to_graph(model, name, keras2=header["version"].startswith(("1", "2")))


def _received(output: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """The header and the arrays by path, as `keras_reader` writes them."""
    header = json.loads(output.read(int.from_bytes(output.read(8), "little")))
    arrays = {
        name: np.lib.format.read_array(output, allow_pickle=False) for name in header["arrays"]
    }
    return header, arrays


def is_keras_model(source: object) -> bool:
    """Whether `source` is a live Keras model, told without importing Keras."""
    return any(
        kind.__name__ == "Model" and kind.__module__.split(".")[0] in ("keras", "tf_keras")
        for kind in type(source).__mro__
    )


def from_keras_model(model: Any) -> Graph:
    """Convert a live `keras.Model`, functional or Sequential, with the weights it has now.

    Args:
        model: the model, built.

    Returns:
        A float32 graph, channels last, with batch 1. It is named after the model.

    Raises:
        UnsupportedModelError: if it is a subclassed model, or uses something that Smidgen does
            not have, naming the layer.
    """
    if not model.built:
        raise UnsupportedModelError(
            "the model has no weights yet",
            where=f"model {model.name!r}",
            hint="call model.build(shape), or start it with keras.Input(shape)",
        )
    spec = parse_model({"class_name": type(model).__name__, "config": _config(model)})
    refuse_unsupported(spec)

    def weights(path: tuple[str, ...]) -> list[np.ndarray[Any, Any]]:
        layer = model
        for name in path:
            layer = layer.get_layer(name)
        return [np.asarray(array) for array in layer.get_weights()]

    assign_lists(spec, weights, roles_of)
    keras2 = any(kind.__module__.startswith("tf_keras") for kind in type(model).__mro__)
    return to_graph(spec, model.name, keras2)


def _config(model: Any) -> Any:
    try:
        return model.get_config()
    except NotImplementedError:
        return {}
