"""Real boards: what core they have, how much memory, and where it lies.

The figures are in ``boards/*.toml``, one board a file, each with its source. A file of the user's
own works the same way.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.errors import BoardError, SmidgenError
from smidgen.targets.cores import Core, get_core
from smidgen.targets.firmware import MemoryMap

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BOARDS_DIR = Path(__file__).parent / "boards"
_FPUS = ("none", "single", "double")
_UNITS = {"": 1, "B": 1, "KB": 1024, "K": 1024, "KIB": 1024, "MB": 1 << 20, "M": 1 << 20}


@dataclass(frozen=True)
class Board:
    """A real board and its memory contract.

    Attributes:
        name: What the user types, for example "nucleo-l4r5zi".
        title: What a person reads.
        mcu: The microcontroller on it.
        core: A name from ``smidgen.targets.cores``; compiler flags follow from it.
        fpu: What the silicon has: "none", "single" or "double".
        dsp: Whether the silicon has the DSP extension.
        clock_mhz: Highest core clock in MHz.
        flash_bytes: Memory a program is stored in and runs from.
        ram_bytes: Largest contiguous RAM: arena, variables and stack share it.
        ram_total_bytes: All RAM of the chip, banks that cannot be used as one included.
        flash_origin: First address of the flash.
        ram_origin: First address of that RAM.
        source: Document the figures are from.
        notes: Anything a user should know.

    Example:
        >>> board = load_board("nucleo-l4r5zi")
        >>> board.core, board.ram_bytes
        ('cortex-m4', 655360)
    """

    name: str
    title: str
    mcu: str
    core: str
    fpu: str
    dsp: bool
    clock_mhz: float
    flash_bytes: int
    ram_bytes: int
    ram_total_bytes: int
    flash_origin: int
    ram_origin: int
    source: str
    notes: str = ""

    @property
    def core_info(self) -> Core:
        """What compilers and emulators know of its core."""
        return get_core(self.core)

    @property
    def memory(self) -> MemoryMap:
        """For ``build_firmware(memory=...)``: the linker then refuses what does not fit."""
        return MemoryMap(self.flash_origin, self.flash_bytes, self.ram_origin, self.ram_bytes)

    def milliseconds(self, cycles: float) -> float:
        """Time that ``cycles`` take at the highest clock."""
        return cycles / (self.clock_mhz * 1e3)


def list_boards() -> list[Board]:
    """Every board Smidgen knows, by name."""
    return [_read(path) for path in sorted(_BOARDS_DIR.glob("*.toml"))]


def load_board(name: str | Path) -> Board:
    """Look a board up, or read a description of one.

    Args:
        name: A board's name, or the path of a ``.toml`` file with the same fields as ours.

    Returns:
        The board.

    Raises:
        BoardError: There is no such board (the hint names the nearest), or the file is not valid
            (the message says which field).

    Example:
        >>> load_board("teensy-4.0").core
        'cortex-m7'
    """
    text = str(name)
    if text.lower().endswith(".toml"):
        return _read(Path(name))
    key = text.lower().replace("_", "-").replace(" ", "-")
    names = [path.name.removesuffix(".toml") for path in sorted(_BOARDS_DIR.glob("*.toml"))]
    if key in names:
        return _read(_BOARDS_DIR / f"{key}.toml")
    near = difflib.get_close_matches(key, names, n=3, cutoff=0.5)
    near += [other for other in names if key and key in other and other not in near]
    raise BoardError(
        f"unknown board {text!r}",
        hint=f"{'did you mean' if near else 'use'} one of {', '.join(near or names)}, or the path "
        "of a .toml file of your own",
    )


def _read(path: Path) -> Board:
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"cannot read the board ({error})", where=str(path)) from None
    return _board(fields, str(path))


#: Field → accepted types. ``bool`` is an ``int`` in Python and is refused where a number is meant.
_FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "title": (str,),
    "mcu": (str,),
    "core": (str,),
    "fpu": (str,),
    "dsp": (bool,),
    "clock_mhz": (int, float),
    "flash_bytes": (int,),
    "ram_bytes": (int,),
    "ram_total_bytes": (int,),
    "flash_origin": (int,),
    "ram_origin": (int,),
    "source": (str,),
    "notes": (str,),
}


def _board(fields: Mapping[str, Any], where: str) -> Board:
    """Check the fields of a description and make a board of them."""
    for name in fields:
        if name not in _FIELDS:
            raise BoardError(
                f"unknown field {name!r}", where=where, hint="known are " + ", ".join(_FIELDS)
            )
    values: dict[str, Any] = {"notes": "", "ram_total_bytes": fields.get("ram_bytes"), **fields}
    for name, types in _FIELDS.items():
        if name not in values or values[name] is None:
            raise BoardError(f"field {name!r} is missing", where=where)
        value = values[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise BoardError(f"{name} = {value!r} is not of type {expected}", where=where)
    board = Board(**values)
    _check_numbers(board, where)
    _check_core(board, where)
    return board


def _check_numbers(board: Board, where: str) -> None:
    checks = (
        ("clock_mhz", 0 < board.clock_mhz < 1e5, "positive, in MHz"),
        ("flash_bytes", 0 < board.flash_bytes < 1 << 32, "positive, in bytes"),
        ("ram_bytes", 0 < board.ram_bytes < 1 << 32, "positive, in bytes"),
        ("ram_total_bytes", board.ram_bytes <= board.ram_total_bytes, "at least ram_bytes"),
        ("flash_origin", 0 <= board.flash_origin < 1 << 32, "a 32-bit address"),
        ("ram_origin", 0 <= board.ram_origin < 1 << 32, "a 32-bit address"),
    )
    for name, holds, expected in checks:
        if not holds:
            raise BoardError(f"{name} = {getattr(board, name)!r} is not {expected}", where=where)


def _check_core(board: Board, where: str) -> None:
    """Refuse a core that would be compiled for what the silicon does not have."""
    try:
        core = get_core(board.core)
    except BoardError as error:
        raise BoardError(error.message, where=where, hint=error.hint) from None
    if board.fpu not in _FPUS:
        raise BoardError(f"fpu = {board.fpu!r}", where=where, hint="use " + ", ".join(_FPUS))
    if _FPUS.index(core.fpu) > _FPUS.index(board.fpu):
        raise BoardError(
            f"code for {core.name} uses a {core.fpu}-precision FPU, which the board lacks",
            where=where,
            hint=f'set core = "{core.name}+nofp", or fpu to what the silicon has',
        )
    if core.dsp and not board.dsp:
        raise BoardError(
            f"code for {core.name} uses the DSP extension, which the board lacks",
            where=where,
            hint='set core = "cortex-m3", or dsp = true',
        )


def parse_bytes(text: str | None) -> int | None:
    """A size such as 64KB (1 KB = 1,024 bytes), 1.5MB or 32768, in bytes.

    Raises:
        SmidgenError: if it is no size.

    Example:
        >>> parse_bytes("64KB")
        65536
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise SmidgenError(f"{text!r} is not a size", hint="write it as 65536, 64KB or 1MB")
    return int(float(found[1]) * unit)
