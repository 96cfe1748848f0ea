"""`.tflite` files, float and integer: a function of one, as a Graph."""

from __future__ import annotations

import os
from pathlib import Path

from smidgen.errors import SmidgenError
from smidgen.frontends.tflite.functions import choose_function, file_bytes
from smidgen.frontends.tflite.reader import Reader
from smidgen.frontends.tflite.tensors import clean
from smidgen.ir import Graph
from smidgen.schema import decode


def read(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    signature: str | None = None,
) -> Graph:
    """Read a function of a `.tflite` file: the only one of most files.

    Args:
        source: The path of a file, or its bytes. It need not be trusted.
        name: The graph's name; the file's name without its ending otherwise.
        signature: The key of the function's signature; what runtimes run first otherwise.

    Returns:
        The graph: its constants are read-only views of the file's bytes. Inputs and outputs have
        the names of the signature, other values those of the file's tensors, made unique.

    Raises:
        ModelFileError: The file cannot be read, is damaged or contradicts itself.
        UnsupportedModelError: The model uses what Smidgen does not have; names the operator.

    Example:
        >>> read("model.tflite").inputs
        ('t0',)
    """
    path = None if isinstance(source, bytes) else Path(source)
    try:
        model = decode(source if isinstance(source, bytes) else file_bytes(Path(source)))
        index, record = choose_function(model, signature)
        stem = clean(path.stem) if path else ""
        return Reader(model, name or stem or "model", index, record).graph()
    except SmidgenError as error:
        if path is not None:
            error.where = f"{path.name}: {error.where}" if error.where else path.name
        raise
