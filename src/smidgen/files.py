"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place in one step, so that nobody ever sees half of it.

    Args:
        path: The file to make or to replace; its folder exists.
        data: What it is to hold.

    Raises:
        OSError: It could not be written.

    Example:
        >>> replace_file(Path("figures.json"), b"{}")
        >>> Path("figures.json").read_text()
        '{}'
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` when the block ends without an exception.

    It is filled beside `out` under a hidden name. What `out` was before stays until the new one is
    complete, and comes back if the last step fails.

    Args:
        out: The folder to make or to replace; its parents are made.

    Yields:
        The folder to fill.

    Raises:
        OSError: Something could not be written.

    Example:
        >>> with new_folder(Path("results")) as folder:
        ...     (folder / "figures.json").write_text("{}")
        2
        >>> [path.name for path in Path("results").iterdir()]
        ['figures.json']
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder, old = Path(temporary) / "new", Path(temporary) / "old"
        folder.mkdir()
        yield folder
        if out.exists():
            out.rename(old)
        try:
            folder.rename(out)
        except BaseException:
            if old.exists():
                old.rename(out)
            raise
