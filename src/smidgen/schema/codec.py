"""Turn the bytes of a ``.tflite`` file into plain records and back.

This is the format and nothing more: what the records mean is for the front end.
"""

from __future__ import annotations

import numpy as np

from smidgen.errors import ModelFileError
from smidgen.schema import reader, writer
from smidgen.schema.fields import Record
from smidgen.schema.tables import FILE_IDENTIFIER, TABLES


def decode(data: bytes) -> Record:
    """Decode a ``.tflite`` file.

    Args:
        data: The whole file, from any source; it need not be trusted.

    Returns:
        The Model table. Every field of the schema is present: scalars have their defaults, absent
        vectors, strings and tables are None. Vectors of numbers are read-only views of ``data``.
        Constants that a large file keeps behind the flatbuffer are found and put in
        ``Buffer.data`` like the others.

    Raises:
        ModelFileError: The bytes are not a valid file; says where and at which field.

    Example:
        >>> decode(encode({"version": 3, "description": "empty"}))["description"]
        'empty'
    """
    model = reader.read(data, TABLES, "Model", FILE_IDENTIFIER)
    for index, buffer in enumerate(model["buffers"] or ()):
        _resolve(buffer, data, f"buffers[{index}]")
    return model


def encode(model: Record) -> bytes:
    """Encode a ``.tflite`` file.

    Args:
        model: A Model table, as :func:`decode` returns it; fields may be left out.

    Returns:
        The file, with the data of each buffer at a multiple of 16 bytes, and equal strings,
        vectors and tables written once.

    Raises:
        ModelFileError: The file would pass the format's limit of 2 GB.
        ValueError: A field or union member is not in the schema.
    """
    return writer.write(model, TABLES, "Model", FILE_IDENTIFIER)


def _resolve(buffer: Record, data: bytes, where: str) -> None:
    """Bring data that lies behind the flatbuffer (files over 2 GB) into ``Buffer.data``."""
    offset, size = buffer["offset"], buffer["size"]
    if offset <= 1:  # writers put 1 as a placeholder; real offsets are past the flatbuffer
        buffer["offset"] = buffer["size"] = 0
        return
    if buffer["data"] is not None and len(buffer["data"]):
        raise ModelFileError("has data both in place and behind the flatbuffer", where=where)
    if offset + size > len(data):
        raise ModelFileError(
            f"{size} bytes at {offset} lie outside the file of {len(data)} bytes", where=where
        )
    buffer["data"] = np.frombuffer(data, np.uint8, size, offset)
    buffer["offset"] = buffer["size"] = 0
