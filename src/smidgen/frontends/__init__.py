"""A file, or a live model of another framework, becomes a Graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.errors import DataError, ModelFileError, UnsupportedModelError
from smidgen.frontends.saved_model import is_saved_model, load_saved_model
from smidgen.frontends.surveyed import Surveyed as Surveyed
from smidgen.frontends.torch_export import (
    from_torch_module,
    is_torch_file,
    is_torch_module,
    load_torch,
    survey_torch,
)
from smidgen.ir import Graph

_SUPPORTED = (
    "give a .tflite, .keras, .h5, .onnx or .pt2 file, a SavedModel folder, or a live keras.Model, "
    "onnx.ModelProto or torch.nn.Module"
)


def load(
    source: str | os.PathLike[str] | Any,
    *,
    example: Any = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    fixed: Mapping[str, Any] | None = None,
    signature: str | None = None,
) -> Graph:
    """Read a trained model.

    Args:
        source: path of a `.tflite`, `.keras`, `.h5`, `.onnx` or `.pt2` file (told apart by their
            content where it tells), a TensorFlow SavedModel's folder (converted by the TensorFlow
            that is installed), or a live `keras.Model`, `onnx.ModelProto`,
            `torch.nn.Module` or `torch.export.ExportedProgram`, or a Graph (returned as it is).
        example: a live `torch.nn.Module` only: what its `forward` is called with, a tensor or a
            tuple of them, of the shape that the device takes, batch 1.
        shapes: ONNX only: full shapes of inputs that have open dimensions besides the batch.
        fixed: ONNX only: values of inputs that are always the same; they are no inputs any more.
        signature: `.tflite` only: which of the file's functions, by its key (see `signatures`);
            the one that runtimes run first otherwise.

    Returns:
        The graph, channels last, batch 1.

    Raises:
        ModelFileError: if the file is missing, damaged or of no known format.
        UnsupportedModelError: if it holds something that Smidgen cannot express, by name.
        DataError: if `example`, `shapes`, `fixed` or `signature` are given for what has no such
            thing.

    Example:
        >>> model = load("model.keras")
        >>> model.inputs
        ('input_layer',)
    """
    if signature is not None and not _is_tflite(source):
        raise DataError(
            "only .tflite files have signatures", where=repr(signature), hint="leave it out"
        )
    from smidgen.frontends.keras import from_keras_model, is_keras_model, load_keras

    if is_torch_module(source) and not is_keras_model(source):  # which is one, on that backend
        return from_torch_module(source, example)
    if example is not None:
        raise DataError(
            "an example is for a live torch.nn.Module", hint="leave it out: files say their shapes"
        )
    if _is_onnx(source):
        from smidgen.frontends.onnx import from_onnx_model, load_onnx

        if isinstance(source, (str, os.PathLike)):
            return load_onnx(Path(source), shapes=shapes, fixed=fixed)
        return from_onnx_model(source, shapes=shapes, fixed=fixed)
    if shapes or fixed:
        raise DataError(
            "shapes and fixed values are for ONNX models",
            hint="the shapes of other models are in their files",
        )
    if isinstance(source, Graph):
        return source
    if not isinstance(source, (str, os.PathLike)):
        if is_keras_model(source):
            return from_keras_model(source)
        raise UnsupportedModelError(f"cannot load a {type(source).__name__}", hint=_SUPPORTED)
    path = Path(source)
    if is_saved_model(path):
        return load_saved_model(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError:
        raise ModelFileError("no such file", where=str(path), hint=_SUPPORTED) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if head[4:8] == b"TFL3" or path.suffix == ".tflite":
        from smidgen.frontends.tflite import read

        return read(path, signature=signature)
    if is_torch_file(path, head):
        return load_torch(path)
    if _is_keras(path, head):
        return load_keras(path)
    raise ModelFileError("is of no known format", where=str(path), hint=_SUPPORTED)


def signatures(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """The keys of the functions that a model has, for `load(source, signature=key)`.

    Args:
        source: path of a model.

    Returns:
        The keys, in the file's order; () for a model that has no signatures.

    Example:
        >>> signatures("model.tflite")
        ()
    """
    from smidgen.frontends.tflite.functions import signatures as keys

    return keys(source) if _is_tflite(source) else ()


def survey(
    source: str | os.PathLike[str],
    *,
    signature: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> list[Surveyed]:
    """Every operator of a model file, those that `load` refuses with the reason and a way out.

    Args:
        source: path of a `.tflite`, `.onnx`, `.pt2`, `.keras` or `.h5` file.
        signature, shapes, fixed: as in `load`.

    Returns:
        One entry for each operator or layer, in the file's order; [] for what is no such file.

    Raises:
        SmidgenError: the file cannot be read as far as its operators.

    Example:
        >>> [one.operator for one in survey("model.tflite") if one.problem]
        []
    """
    path = Path(source)
    if not path.is_file():
        return []
    if _is_tflite(path):
        from smidgen.frontends.tflite.survey import survey as look

        return look(path, signature)
    if _is_onnx(path):
        from smidgen.frontends.onnx.survey import survey as look_onnx

        return look_onnx(path, shapes, fixed)
    with path.open("rb") as file:
        head = file.read(8)
    if is_torch_file(path, head):
        return survey_torch(path)
    from smidgen.frontends.keras import survey_keras

    return survey_keras(path) if _is_keras(path, head) else []


def _is_keras(path: Path, head: bytes) -> bool:
    zipped, suffixes = head[:4] == b"PK\x03\x04", (".h5", ".hdf5", ".keras")
    return zipped or head == b"\x89HDF\r\n\x1a\n" or path.suffix in suffixes


def _is_tflite(source: Any) -> bool:
    if not isinstance(source, (str, os.PathLike)) or Path(source).is_dir():
        return False
    with Path(source).open("rb") as file:
        return file.read(8)[4:] == b"TFL3"


def _is_onnx(source: Any) -> bool:
    """Whether a source is ONNX: a live model by its class, a file by its ending alone.

    A protobuf does not begin with anything that tells what it is.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return path.suffix.lower() == ".onnx" and not path.is_dir() and path.exists()
    from smidgen.frontends.onnx import is_onnx_model

    return is_onnx_model(source)
