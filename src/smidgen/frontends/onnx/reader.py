"""Bytes nobody vouches for → an ONNX model, with bounds on what it may cost to read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from smidgen.errors import ModelFileError, ToolMissingError, UnsupportedModelError

MAX_FILE_BYTES = 1 << 30
MAX_FIELDS = 1_000_000  # of the messages in a file: models of phones have up to 100,000
MAX_DEPTH = 24
OPSETS = range(6, 29)  # of ai.onnx; the newest whose operators were compared with ONNX's own tests
DOMAINS = ("", "ai.onnx", "com.microsoft")

DAMAGED = "the file is probably damaged: save or download it again"

# Where messages lie inside messages, by field number; other fields are plain data.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "leaf", 14: "leaf", 20: "leaf", 25: "function", 26: "leaf"},
    "graph": {
        1: "node",
        5: "tensor",
        15: "sparse",
        14: "leaf",
        16: "leaf",
        **dict.fromkeys((11, 12, 13), "value"),
    },
    "function": {7: "node", 9: "leaf", 11: "attribute", 12: "value", 14: "leaf"},
    "node": {5: "attribute", 9: "leaf", 10: "leaf"},
    "attribute": {
        **dict.fromkeys((5, 10), "tensor"),
        **dict.fromkeys((6, 11), "graph"),
        **dict.fromkeys((14, 15), "type"),
        **dict.fromkeys((22, 23), "sparse"),
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "leaf", 16: "leaf"},
    "value": {2: "type", 4: "leaf"},
    "type": {1: "tensor type", 4: "element", 5: "element", 8: "tensor type", 9: "element"},
    "tensor type": {2: "shape"},
    "element": {1: "type", 2: "type"},
    "shape": {1: "leaf"},
    "leaf": {},
}


def read_bytes(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        ModelFileError: if it cannot be read, or is larger than a protobuf can be.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(
                f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that are read",
                where=path.name,
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"cannot be read: {error.strerror or error}", where=path.name
        ) from error


def parse(data: bytes) -> Any:
    """The `onnx.ModelProto` in some bytes, its fields counted before they are unpacked.

    Raises:
        ModelFileError: if the bytes are no ONNX model.
        ToolMissingError: without the onnx package.
    """
    onnx = import_onnx()
    count_fields(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's implementations raise classes of their own
        raise ModelFileError("it is no ONNX model, or a damaged one", hint=DAMAGED) from error
    return model


def import_onnx() -> Any:
    """The onnx package.

    Raises:
        ToolMissingError: if it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise ToolMissingError("onnx", extra="onnx", purpose="reading ONNX models") from None
    return onnx


def count_fields(data: bytes) -> int:
    """How many fields the messages of a model have.

    A message of two bytes takes a hundred times as many in memory, so this is what bounds the
    memory that unpacking may take.

    Raises:
        ModelFileError: if there are too many, or a length leads out of the file.
    """
    stack = [(0, len(data), "model")]
    count = 0
    while stack:
        at, end, kind = stack.pop()
        while at < end:
            count += 1
            if count > MAX_FIELDS:
                raise ModelFileError(f"it has over {MAX_FIELDS:,} fields", hint=DAMAGED)
            tag, at = _varint(data, at, end) if data[at] > 0x7F else (data[at], at + 1)
            wire = tag & 7
            if wire == 0:
                _, at = _varint(data, at, end)
            elif wire == 2:
                short = at < end and data[at] < 0x80
                length, at = (data[at], at + 1) if short else _varint(data, at, end)
                inner = _MESSAGES[kind].get(tag >> 3)
                if inner is not None:
                    stack.append((at, min(at + length, end), inner))
                at += length
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:  # groups, which ONNX does not use
                raise ModelFileError("it is no ONNX model, or a damaged one", hint=DAMAGED)
        if at > end:
            raise ModelFileError("it is truncated, or no ONNX model", hint=DAMAGED)
    return count


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ModelFileError("it is truncated, or no ONNX model", hint=DAMAGED)


def opset_of(model: Any) -> int:
    """The version of ai.onnx that a model's operators mean.

    Raises:
        ModelFileError: if it has no graph or names no version.
        UnsupportedModelError: if the version is not among those that Smidgen knows.
    """
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ModelFileError("it is no ONNX model, or one without a graph", hint=DAMAGED)
    versions = {entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")}
    if not versions:
        # Models of other domains alone are refused by their operators, which say more.
        return OPSETS[-1] if model.opset_import else 7
    version = max(versions)
    if version not in OPSETS:
        raise UnsupportedModelError(
            f"it uses opset {version} of ONNX",
            hint=f"export it with opset_version=17 (any of {OPSETS[0]} to {OPSETS[-1]} will do)",
        )
    return int(version)


class ExternalData:
    """Tensors kept beside the model, in files of its own folder and nowhere else.

    Args:
        folder: the model's folder; None for a model that came as an object or bytes.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.taken = 0

    def read(self, tensor: Any, size: int) -> bytes:
        """The `size` bytes of a tensor.

        Raises:
            ModelFileError: if they lie outside the folder, or are not all there.
        """
        name = clean(tensor.name) or "without a name"
        where = f"tensor {name!r}"
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if self.folder is None:
            raise ModelFileError(
                "its data is in another file, and the model's folder is not known",
                where=where,
                hint="load the model by its path",
            )
        path = self._path(entries.get("location", ""), where)
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            raise ModelFileError(
                "its offset or length is not a number", where=where, hint=DAMAGED
            ) from None
        self.taken += size
        if offset < 0 or length != size or self.taken > MAX_FILE_BYTES:
            raise ModelFileError(
                f"{length:,} bytes at {offset:,} of another file are not its {size:,} bytes",
                where=where,
                hint=DAMAGED,
            )
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except (OSError, OverflowError, ValueError) as error:
            raise ModelFileError(
                f"its file {path.name!r} cannot be read ({error})",
                where=where,
                hint="keep it in the same folder as the model",
            ) from error
        if len(data) != size:
            raise ModelFileError(
                f"its file {path.name!r} ends before its {size:,} bytes do",
                where=where,
                hint=DAMAGED,
            )
        return data

    def _path(self, location: str, where: str) -> Path:
        assert self.folder is not None
        parts = Path(location).parts
        outside = not parts or Path(location).is_absolute() or ".." in parts or "\0" in location
        path = self.folder / location if not outside else self.folder
        links = any((self.folder / Path(*parts[: i + 1])).is_symlink() for i in range(len(parts)))
        if outside or links or os.path.realpath(path) != str(self.folder.resolve() / location):
            raise ModelFileError(
                f"its data is in {clean(location)!r}, which is not a plain file of the model's "
                "folder",
                where=where,
                hint="keep the data beside the model, without links",
            )
        return path


def clean(text: Any) -> str:
    """A name as it may appear in a message: printable, and no longer than a line."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in str(text))[:120]
