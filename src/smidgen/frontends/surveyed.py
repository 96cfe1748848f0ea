"""Every operator of a model file, readable or not: what each front end's survey tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Surveyed:
    """One operator or layer of a file.

    Args:
        index: its number.
        operator: its name, as the file's format spells it.
        layer: the layer that it is in, or the name of its first result; with the line of code that
            it came from if it cannot be read and the file tells.
        output: the type of its first result; "" if that is not known.
        problem: why it is not read, or None.
        hint: what to do about that, or None.
    """

    index: int
    operator: str
    layer: str
    output: str
    problem: str | None = None
    hint: str | None = None
