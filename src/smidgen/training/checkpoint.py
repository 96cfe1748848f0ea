"""Checkpoints: a run that was killed at any moment goes on as if it had not been."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from smidgen.errors import DataError
from smidgen.files import replace_file

VERSION = 1


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Put the state of a run in place in one step.

    Args:
        path: of the file; its folder is made.
        state: tensors, numbers, text, and lists and dictionaries of them.
        fingerprint: of what the run was told; `restore` asks for the same.
    """
    stream = io.BytesIO()
    torch.save({"version": VERSION, "fingerprint": fingerprint, "state": state}, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, stream.getvalue())


def restore(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state that `save` kept, or None if there is no such file. Runs no code from the file.

    Raises:
        DataError: if the file is damaged, or another run's.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        state, version = found["state"], found["version"]
    except Exception as error:  # a dozen kinds, from zipfile, pickle and torch
        raise DataError(
            f"is no checkpoint ({type(error).__name__})",
            where=str(path),
            hint="remove it to start anew",
        ) from error
    if version != VERSION or found["fingerprint"] != fingerprint:
        raise DataError(
            "is a checkpoint of another run: model, data or settings differ",
            where=str(path),
            hint="remove it to start anew, or give the settings it was made with",
        )
    assert isinstance(state, dict)
    return state
