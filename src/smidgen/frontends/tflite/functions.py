"""The functions of a `.tflite` file: which subgraph is called under which signature."""

from __future__ import annotations

import os
from pathlib import Path

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite.tensors import DAMAGED, clean
from smidgen.schema import Record, decode

MAX_FILE_BYTES = 1 << 30


def signatures(source: str | os.PathLike[str] | bytes) -> tuple[str, ...]:
    """Return the keys of a file's signatures, `read`'s argument; () for a file without any."""
    model = decode(source if isinstance(source, bytes) else file_bytes(Path(source)))
    return tuple(clean(record["signature_key"] or "") for record in model["signature_defs"] or ())


def choose_function(model: Record, key: str | None) -> tuple[int, Record | None]:
    """Return the subgraph to read and its signature.

    Raises:
        ModelFileError: There is none of that key, or it names a subgraph that is not there.
    """
    count = len(model["subgraphs"] or ())
    if not count:
        raise UnsupportedModelError("the model has 0 subgraphs", hint=DAMAGED)
    records = {clean(r["signature_key"] or ""): r for r in model["signature_defs"] or ()}
    if key is None:
        found = [r for r in records.values() if r["subgraph_index"] == 0]
        return 0, found[0] if found else None
    if key not in records:
        have = ", ".join(map(repr, records)) or "none"
        raise ModelFileError(f"no signature {key!r}", hint=f"the model has {have}")
    index = int(records[key]["subgraph_index"])
    if index >= count:
        raise ModelFileError(f"signature {key!r} is of subgraph {index} of {count}", hint=DAMAGED)
    return index, records[key]


def callable_subgraphs(model: Record, index: int) -> list[int]:
    """Return the subgraphs that are called from outside, the one to be read among them."""
    count = len(model["subgraphs"])
    named = {int(record["subgraph_index"]) for record in model["signature_defs"] or ()}
    return sorted({index, *(i for i in named if i < count)})


def file_bytes(path: Path) -> bytes:
    """Return what a file holds, unless it is missing or too large."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(
                f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that are read"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}") from error
