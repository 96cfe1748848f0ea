"""Messages between Smidgen and the process of a foreign runtime.

A frame is eight bytes of length, then an `.npz` archive (never pickled) with the arrays and, as
the array `meta`, JSON in UTF-8.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, Any]

_LENGTH_BYTES = 8


def write_frame(stream: IO[bytes], meta: dict[str, Any], arrays: Sequence[Array]) -> None:
    """Send one message.

    Args:
        stream: A binary stream.
        meta: Whatever JSON can hold.
        arrays: Arrays of plain numbers.
    """
    archive = io.BytesIO()
    named: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays)}
    np.savez(archive, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **named)
    data = archive.getbuffer()
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array]] | None:
    """Receive one message.

    Args:
        stream: A binary stream.

    Returns:
        What `write_frame` was given, or None if the stream ends before the message does.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    data = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    if len(head) < _LENGTH_BYTES or len(data) < length:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        meta = json.loads(archive["meta"].tobytes())
        return meta, [archive[f"a{i}"] for i in range(len(archive.files) - 1)]
