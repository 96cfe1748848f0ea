"""The bytes of a `.keras` or `.h5` file → its configuration text and plain arrays.

This module is the main module of a process of its own (`_sandbox.run_reader`): the HDF5 library is
C code that parses bytes nobody vouches for, and zip files can be bombs. Nothing here interprets
the configuration; `keras/` does, in the caller's process, from plain text and arrays.

Output: the length of a JSON header (8 bytes, little-endian), the header, and one `.npy` for each
path in its "arrays".
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends import _sandbox

DAMAGED = "the file is probably damaged: save or download it again"
MAX_CONFIG = 8 << 20  # bytes of JSON; the largest models of Keras Applications have 0.5 MB
MAX_OBJECTS = 50_000
MAX_DEPTH = 32
MAX_RANK = 8


def read(path: Path, out: IO[bytes]) -> None:
    """Read a model file and write what it holds to `out`.

    Args:
        path: a `.keras` zip or an HDF5 file; told apart by content, not by name.
        out: where the header and the arrays go.

    Raises:
        SmidgenError: if it is neither, damaged, hostile, or not a whole model.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        # Weights are stored uncompressed by Keras; 4x allows for those who repack files.
        budget = max(128 << 20, 4 * path.stat().st_size)
        if magic == b"PK\x03\x04":
            _read_zip(path, out, budget)
        else:
            _read_h5(path, out, budget)
    except (SmidgenError, MemoryError):
        raise
    except Exception as error:  # h5py and zipfile raise nearly every class for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"it cannot be read ({reason[:200]})", hint=DAMAGED) from error


def _read_zip(path: Path, out: IO[bytes], budget: int) -> None:
    import h5py

    with zipfile.ZipFile(path) as archive:
        names = {info.filename: info for info in archive.infolist()}
        if "config.json" not in names:
            raise ModelFileError(
                "it is a zip file without config.json, not a Keras model",
                hint='save the model with model.save("name.keras")',
            )
        if "model.weights.json" in names:
            raise UnsupportedModelError(
                "its weights are split over several files",
                hint='save the model with model.save("name.keras"), without sharding',
            )
        config = _member(archive, names, "config.json", MAX_CONFIG)
        metadata = json.loads(_member(archive, names, "metadata.json", MAX_CONFIG) or b"{}")
        weights = _member(archive, names, "model.weights.h5", budget)
    if not weights:
        raise ModelFileError("it has no model.weights.h5", hint=DAMAGED)
    header = {
        "format": "keras",
        "config": config.decode("utf-8"),
        "version": str(metadata.get("keras_version", "3")),
    }
    with h5py.File(io.BytesIO(weights), "r") as file:
        _write(header, _Dump(file, budget, skip=("optimizer",)), out)


def _member(
    archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], name: str, limit: int
) -> bytes:
    """The bytes of one member, never more than `limit`; b"" if it is absent."""
    info = names.get(name)
    if info is None:
        return b""
    if info.file_size > limit:
        raise ModelFileError(f"its {name} unpacks to {info.file_size:,} bytes", hint=DAMAGED)
    with archive.open(info) as member:
        return member.read(limit)


def _read_h5(path: Path, out: IO[bytes], budget: int) -> None:
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelFileError(
            "it is neither a .keras zip nor an HDF5 file",
            hint='save the model with model.save("name.keras")',
        )
    with h5py.File(path, "r") as file:
        config = _text(file, "model_config")
        if config is None:
            raise UnsupportedModelError(
                "it holds weights without the model they belong to",
                hint='save the whole model: model.save("name.keras"), not save_weights',
            )
        root = _Links(file).child("model_weights")
        if not isinstance(root, h5py.Group):
            raise ModelFileError("it has a model_config but no model_weights", hint=DAMAGED)
        version = _text(root, "keras_version") or _text(file, "keras_version") or "2"
        _write({"format": "h5", "config": config, "version": version}, _Dump(root, budget), out)


def _text(group: Any, name: str) -> str | None:
    """A string attribute of a group, None if it is absent."""
    if name not in group.attrs:
        return None
    attribute = group.attrs.get_id(name)
    if attribute.shape != () or attribute.get_storage_size() > MAX_CONFIG:
        raise ModelFileError(f"its {name} is not a text of plausible length", hint=DAMAGED)
    value = group.attrs[name]
    text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    if len(text) > MAX_CONFIG:
        raise ModelFileError(f"its {name} is over {MAX_CONFIG:,} bytes", hint=DAMAGED)
    return text


class _Links:
    """The children of a group, reached by plain links only."""

    def __init__(self, group: Any) -> None:
        self.group = group

    def child(self, name: str) -> Any:
        """The object called `name`, None if there is none.

        Soft and external links lead elsewhere in the file or to other files of this machine;
        Keras writes neither.
        """
        import h5py

        link = self.group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ModelFileError(
                f"{name!r} is a link to another place, which Keras never writes", hint=DAMAGED
            )
        return self.group[name]


class _Dump:
    """Every array and every list of names below a group, checked before anything is read."""

    def __init__(self, root: Any, budget: int, skip: tuple[str, ...] = ()) -> None:
        self.lists: dict[str, list[str]] = {}
        self.datasets: dict[str, Any] = {}
        self.budget = budget
        self.seen: set[int] = set()
        self._walk(root, "", 0, skip)

    def _walk(self, group: Any, path: str, depth: int, skip: tuple[str, ...] = ()) -> None:
        import h5py

        if depth > MAX_DEPTH:
            raise ModelFileError(f"its groups nest over {MAX_DEPTH} deep", hint=DAMAGED)
        for kind in ("layer_names", "weight_names"):
            names = list(_names(group, kind))
            if names:
                self.lists[path] = names
        links = _Links(group)
        for name in group:
            if name in skip:
                continue
            child = links.child(name)
            inner = f"{path}/{name}" if path else name
            self._visit(child, inner)
            if isinstance(child, h5py.Group):
                self._walk(child, inner, depth + 1)
            elif isinstance(child, h5py.Dataset):
                self._check(child, inner)
                self.datasets[inner] = child

    def _visit(self, child: Any, path: str) -> None:
        """Refuse an object that two links lead to (the walk might never end) and too many."""
        import h5py

        address = h5py.h5o.get_info(child.id).addr
        if address in self.seen:
            raise ModelFileError(f"{path!r} is reached twice", hint=DAMAGED)
        self.seen.add(address)
        if len(self.seen) > MAX_OBJECTS:
            raise ModelFileError(f"it holds over {MAX_OBJECTS:,} objects", hint=DAMAGED)

    def _check(self, dataset: Any, path: str) -> None:
        if dataset.is_virtual or dataset.external:
            raise ModelFileError(
                f"the data of {path!r} lies in another file, which Keras never does", hint=DAMAGED
            )
        if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
            raise ModelFileError(f"{path!r} holds {dataset.dtype}, not numbers", hint=DAMAGED)
        if dataset.shape is None or dataset.ndim > MAX_RANK:
            raise ModelFileError(f"{path!r} has the shape {dataset.shape}", hint=DAMAGED)
        size = dataset.dtype.itemsize
        for length in dataset.shape:
            size *= length
        self.budget -= size
        if self.budget < 0:
            raise ModelFileError(
                f"{path!r} is declared to hold {size:,} bytes, more than the file can", hint=DAMAGED
            )


def _names(group: Any, name: str) -> Iterator[str]:
    """An attribute that lists names; a long one is split over `name0`, `name1`, ..."""
    parts = [name] if name in group.attrs else []
    while not parts or parts[-1] != name:
        part = f"{name}{len(parts)}"
        if part not in group.attrs:
            break
        parts.append(part)
    for part in parts:
        attribute = group.attrs.get_id(part)
        if attribute.shape == (0,):  # HDF5 cannot say how much an empty list takes
            continue
        if len(attribute.shape) != 1 or attribute.get_storage_size() > MAX_CONFIG:
            raise ModelFileError(f"its {name} are not a list of plausible length", hint=DAMAGED)
        for value in group.attrs[part]:
            yield value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _write(header: dict[str, Any], dump: _Dump, out: IO[bytes]) -> None:
    import numpy as np

    header = {**header, "lists": dump.lists, "arrays": list(dump.datasets)}
    text = json.dumps(header).encode()
    out.write(len(text).to_bytes(8, "little"))
    out.write(text)
    for dataset in dump.datasets.values():
        np.lib.format.write_array(out, dataset[()], allow_pickle=False)


if __name__ == "__main__":
    _sandbox.reader_main(read)
