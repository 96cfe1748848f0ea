"""Write the firmware folder of a model, link it for a board, measure it and run it."""

from __future__ import annotations

from pathlib import Path

from smidgen.backends.c.emit import KERNELS, Source


def write_sources(source: Source, folder: Path) -> None:
    """Write `<name>.h`, `<name>.c` and the kernels they use into an existing folder."""
    (folder / f"{source.name}.h").write_text(source.header, encoding="utf-8")
    (folder / f"{source.name}.c").write_text(source.source, encoding="utf-8")
    (folder / "kernels").mkdir(exist_ok=True)
    for kernel in source.kernels:
        text = (KERNELS / kernel).read_text(encoding="utf-8")
        (folder / "kernels" / kernel).write_text(text, encoding="utf-8")
