"""ONNX files and live `onnx.ModelProto` objects → Graph.

`reader` parses bytes with bounds, `convert` walks the nodes, `operators` holds what each operator
means, one family a file. Nothing in a file is executed, and onnxruntime is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.errors import SmidgenError
from smidgen.frontends.onnx.inputs import Fixed, Shapes
from smidgen.ir import Graph

__all__ = ["from_onnx_model", "is_onnx_model", "load_onnx"]


def load_onnx(
    path: str | Path, *, shapes: Shapes | None = None, fixed: Fixed | None = None
) -> Graph:
    """Load an `.onnx` file.

    Args:
        path: the file. Tensors that it keeps in other files are read from its own folder only.
        shapes: full shapes of inputs with open dimensions, by name. An open first dimension is
            the batch and becomes 1 without being given.
        fixed: values of inputs that are always the same, by name; they are no inputs any more.

    Returns:
        A graph with batch 1, named after the file: float32, or int8 where the model is quantized.

    Raises:
        ModelFileError: if the file is missing, damaged or contradicts itself.
        UnsupportedModelError: if it is sound but uses something that Smidgen does not have,
            naming the node, its operator and its output.
        DataError: if `shapes` or `fixed` do not fit the model.
        ToolMissingError: without the onnx package (extra `onnx`).

    Example:
        >>> graph = load_onnx("model.onnx")
        >>> graph.type(graph.inputs[0]).shape
        (1, 16, 16, 3)
    """
    from smidgen.frontends.onnx.reader import ExternalData, clean, parse, read_bytes

    path = Path(path)
    try:
        model = parse(read_bytes(path))
        external = ExternalData(path.parent)
        return _graph(model, clean(path.stem) or "model", external, shapes, fixed)
    except SmidgenError as error:
        if error.where != path.name:
            error.where = f"{path.name}: {error.where}" if error.where else path.name
        raise


def is_onnx_model(source: object) -> bool:
    """Whether `source` is a live `onnx.ModelProto`, told without importing onnx."""
    kind = type(source)
    return kind.__name__ == "ModelProto" and hasattr(kind, "SerializeToString")


def from_onnx_model(
    model: Any, *, shapes: Shapes | None = None, fixed: Fixed | None = None
) -> Graph:
    """Convert a live `onnx.ModelProto`; arguments and errors as `load_onnx`'s.

    Args:
        model: the model, with all its tensors inside.
        shapes, fixed: as for `load_onnx`.
    """
    from smidgen.frontends.onnx.reader import ExternalData, clean

    name = clean(model.graph.name) or "model"
    return _graph(model, name, ExternalData(None), shapes, fixed)


def read_bytes_of_model(data: bytes) -> Graph:
    """Convert the bytes of a model that lies in no folder; raises as `load_onnx` does."""
    from smidgen.frontends.onnx.reader import parse

    return from_onnx_model(parse(data))


def _graph(
    model: Any, name: str, external: Any, shapes: Shapes | None, fixed: Fixed | None
) -> Graph:
    from smidgen.frontends.onnx.convert import to_graph
    from smidgen.frontends.onnx.tidy import tidy

    return tidy(to_graph(model, name, external, shapes or {}, fixed or {}))
