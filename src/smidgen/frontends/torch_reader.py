"""The bytes of a `.pt2` file → its program as JSON text and plain arrays.

A `.pt2` file of `torch.export.save` is a zip: the program is JSON, weights are raw bytes, and only
custom objects are pickles. This module reads it with the standard library alone, so that neither
PyTorch nor anything in the file is executed. It is the main module of a process of its own
(`_sandbox.run_reader`), since zip files can be bombs.

Output: the length of a JSON header (8 bytes, little-endian), the header, and one `.npy` for each
name in its "arrays".
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends import _sandbox

Array = np.ndarray[Any, Any]

DAMAGED = "the file is probably damaged: save it again with torch.export.save"
SAVE_AGAIN = (
    'load it with the PyTorch that saved it and save it again: torch.export.save(program, "m.pt2") '
    "of PyTorch 2.8 or later"
)
MAX_JSON = 48 << 20  # bytes; a network of 200 layers has 1 MB
MAX_RANK = 8

# `ScalarType` of torch/_export/serde/schema.py: the dtype in the file, and the one it is read as.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("u1", "uint8"),
    2: ("i1", "int8"),
    3: ("<i2", "int16"),
    4: ("<i4", "int32"),
    5: ("<i8", "int64"),
    6: ("<f2", "float32"),
    7: ("<f4", "float32"),
    8: ("<f8", "float32"),
    12: ("?", "bool"),
    13: ("<u2", "float32"),  # bfloat16: the upper half of a float32
}
BFLOAT16 = 13
STRIDED = 7  # the `Layout` of a dense tensor


def read(path: Path, out: IO[bytes]) -> None:
    """Read a `.pt2` file and write what it holds to `out`.

    Args:
        path: the file.
        out: where the header and the arrays go.

    Raises:
        SmidgenError: if it is no such file, damaged, hostile or not a whole program.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _Archive(archive, max(64 << 20, 4 * path.stat().st_size)).write(out)
    except (SmidgenError, MemoryError):
        raise
    except Exception as error:  # zipfile raises nearly every class for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"it cannot be read ({reason[:200]})", hint=DAMAGED) from error


class _Archive:
    """The members of a `.pt2` file; all are below one folder that is named after the file."""

    def __init__(self, archive: zipfile.ZipFile, budget: int) -> None:
        self.archive = archive
        self.budget = budget
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.partition("/")[2]
            if name in self.members:
                raise ModelFileError(f"it holds {name!r} twice", hint=DAMAGED)
            self.members[name] = info
        names = {info.filename for info in archive.infolist()}
        if "serialized_exported_program.json" in names:
            raise UnsupportedModelError(
                "it was saved by PyTorch 2.7 or before, whose files hold pickles", hint=SAVE_AGAIN
            )
        if any(name.startswith("data/aotinductor/") for name in self.members):
            raise UnsupportedModelError(
                "it holds a model that AOTInductor has compiled to machine code",
                hint="save the exported program itself with torch.export.save",
            )

    def write(self, out: IO[bytes]) -> None:
        """The header, then the arrays."""
        programs = [n for n in self.members if n.startswith("models/") and n.endswith(".json")]
        if len(programs) != 1:
            raise ModelFileError(
                f"it holds {len(programs)} exported programs, not one",
                hint='save the model with torch.export.save(program, "model.pt2")',
            )
        if self.text("byteorder", "little") != "little":
            raise UnsupportedModelError("its weights are big-endian", hint=SAVE_AGAIN)
        name = programs[0][len("models/") : -len(".json")]
        program = self.bytes(programs[0], MAX_JSON).decode("utf-8")
        payloads: dict[str, tuple[str, dict[str, Any]]] = {}
        for folder, kind in (("weights", "weights"), ("constants", "constants")):
            config = f"data/{folder}/{name}_{kind}_config.json"
            if config not in self.members:
                raise ModelFileError(f"it has no {config}", hint=DAMAGED)
            for key, meta in json.loads(self.bytes(config, MAX_JSON))["config"].items():
                payloads[key] = (f"data/{folder}/{meta['path_name']}", meta)
        arrays = {key: self.payload(key, *payload) for key, payload in payloads.items()}
        header = json.dumps({"program": program, "arrays": list(arrays)}).encode()
        out.write(len(header).to_bytes(8, "little"))
        out.write(header)
        for array in arrays.values():
            np.lib.format.write_array(out, array, allow_pickle=False)

    def bytes(self, name: str, limit: int) -> bytes:
        """The bytes of one member, never more than `limit`."""
        info = self.members.get(name)
        if info is None:
            raise ModelFileError(f"it has no {name}", hint=DAMAGED)
        if info.file_size > limit:
            raise ModelFileError(f"its {name} unpacks to {info.file_size:,} bytes", hint=DAMAGED)
        with self.archive.open(info) as member:
            return member.read(limit)

    def text(self, name: str, default: str) -> str:
        """The text of a short member."""
        return self.bytes(name, 1024).decode("ascii") if name in self.members else default

    def payload(self, key: str, member: str, meta: dict[str, Any]) -> Array:
        """One weight or constant."""
        if meta.get("use_pickle") or meta.get("tensor_meta") is None:
            raise UnsupportedModelError(
                f"{key!r} is a pickled Python object, which could run code",
                hint="export a model whose parameters and buffers are plain tensors",
            )
        return _tensor(key, self.bytes(member, self.budget), meta["tensor_meta"], self)


def _tensor(key: str, raw: bytes, meta: dict[str, Any], archive: _Archive) -> Array:
    """A dense array of a storage's bytes, copied."""
    if meta["dtype"] not in DTYPES or meta["layout"] != STRIDED:
        raise UnsupportedModelError(
            f"{key!r} has dtype {meta['dtype']} and layout {meta['layout']} in PyTorch's numbering",
            hint="export a model whose parameters are dense and real",
        )
    stored, dtype = DTYPES[meta["dtype"]]
    shape = tuple(_integer(key, d) for d in meta["sizes"])
    strides = tuple(_integer(key, s) for s in meta["strides"])
    offset = _integer(key, meta["storage_offset"])
    if len(shape) != len(strides) or len(shape) > MAX_RANK:
        raise ModelFileError(f"{key!r} has sizes {shape} and strides {strides}", hint=DAMAGED)
    size, item = math.prod(shape), np.dtype(stored).itemsize
    archive.budget -= size * np.dtype(dtype).itemsize
    if archive.budget < 0:
        raise ModelFileError(
            f"{key!r} is declared to hold {size:,} elements, more than the file can", hint=DAMAGED
        )
    if not size:
        return np.zeros(shape, dtype)
    last = offset + sum((d - 1) * s for d, s in zip(shape, strides, strict=True))
    if (last + 1) * item > len(raw):
        raise ModelFileError(
            f"{key!r} of sizes {shape} reaches beyond its {len(raw):,} bytes", hint=DAMAGED
        )
    flat = np.frombuffer(raw, stored, count=len(raw) // item)
    view = np.lib.stride_tricks.as_strided(
        flat[offset:], shape, tuple(s * item for s in strides), writeable=False
    )
    if meta["dtype"] == BFLOAT16:
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view, np.dtype(dtype))


def _integer(key: str, value: Any) -> int:
    """A size, stride or offset, which the file spells {"as_int": n}."""
    number = value.get("as_int") if isinstance(value, dict) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 40:
        raise ModelFileError(f"{key!r} has a size or stride {value!r:.80}", hint=DAMAGED)
    return number


if __name__ == "__main__":
    _sandbox.reader_main(read)
