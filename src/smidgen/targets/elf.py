"""A linked ELF as the emulators and the size report need it: segments, symbols, sizes.

Sizes follow the linker script of ``smidgen.targets.firmware`` but need only the ELF's own flags:
flash is every allocated section that is stored (vectors, .text, .rodata, constants, the image of
.data), static RAM is every allocated section that is writable. Sections whose name starts with
``.harness`` and the reserved ``.stack`` belong to the measurement and count as nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smidgen.errors import EmulatorError, ToolMissingError

#: Where ``SM_CONST`` puts a model's constants, in the object files and in the linked ELF.
CONSTANTS_INPUT_SECTION = ".rodata.smidgen"
CONSTANTS_SECTION = ".model"
HARNESS_SECTION_PREFIX = ".harness"
STACK_SECTION = ".stack"

_WRITE, _ALLOC = 0x1, 0x2  # section flags of the ELF standard


@dataclass(frozen=True)
class Segment:
    """Bytes that lie at ``address`` once the program is loaded."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """A named address; ``address`` has no Thumb bit."""

    name: str
    address: int
    size: int
    is_function: bool


@dataclass(frozen=True)
class Footprint:
    """What a linked program takes, in bytes, measured and not estimated.

    Attributes:
        code_bytes: Vectors, .text, .rodata and the flash image of .data, without the model's
            constants.
        constant_bytes: The model's constants (everything marked ``SM_CONST``).
        data_bytes: Initialized variables: they take flash and RAM.
        bss_bytes: Zeroed variables, the tensor arena among them.
    """

    code_bytes: int
    constant_bytes: int
    data_bytes: int
    bss_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Everything that is stored: code, constants and the image of .data."""
        return self.code_bytes + self.constant_bytes

    @property
    def static_ram_bytes(self) -> int:
        """.data and .bss; peak RAM is this plus the painted stack."""
        return self.data_bytes + self.bss_bytes


@dataclass(frozen=True)
class Image:
    """A linked ELF, read once.

    Attributes:
        path: The file.
        load_segments: Bytes by *load* address: what a programmer writes into flash.
        symbols: Every named function, object and linker symbol, by name.
        footprint: Its sizes.
        code_ranges: Address ranges ``(begin, end)`` of sections that hold instructions.
        is_riscv: Whether the instructions are RISC-V's, not Thumb.

    Example:
        >>> image = Image.load(firmware.elf)
        >>> image.footprint.flash_bytes == firmware.flash_bytes
        True
        >>> image.symbol("sm_invoke").size > 0
        True
    """

    path: Path
    load_segments: tuple[Segment, ...]
    symbols: dict[str, Symbol]
    footprint: Footprint
    code_ranges: tuple[tuple[int, int], ...]
    is_riscv: bool = False
    _functions: tuple[Symbol, ...] = field(repr=False, default=())
    _function_starts: tuple[int, ...] = field(repr=False, default=())

    @classmethod
    def load(cls, path: str | Path) -> Image:
        """Read an ELF file.

        Args:
            path: A linked 32-bit little-endian ELF.

        Returns:
            The image.

        Raises:
            EmulatorError: The file is missing or no such ELF.
            ToolMissingError: pyelftools is not installed.
        """
        try:
            from elftools.common.exceptions import ELFError
            from elftools.elf.elffile import ELFFile
        except ImportError:
            raise ToolMissingError("pyelftools", extra="emulate", purpose="reading ELF") from None
        path = Path(path)
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                segments = tuple(
                    Segment(segment["p_paddr"], segment.data())
                    for segment in elf.iter_segments()
                    if segment["p_type"] == "PT_LOAD" and segment["p_filesz"] > 0
                )
                symbols = _read_symbols(elf)
                footprint = _measure(elf)
                is_riscv = elf["e_machine"] == "EM_RISCV"
                code = tuple(
                    (section["sh_addr"], section["sh_addr"] + section["sh_size"])
                    for section in elf.iter_sections()
                    if section["sh_flags"] & _ALLOC and section["sh_flags"] & 0x4
                )
        except (OSError, ELFError) as error:
            raise EmulatorError(
                f"cannot read it as an ELF file ({error})",
                where=str(path),
                hint="link the program with smidgen.targets.build_firmware",
            ) from None
        # By address, because static functions of two files may share a name.
        functions = sorted(
            {s.address: s for s in symbols if s.is_function and s.size}.values(),
            key=lambda symbol: symbol.address,
        )
        return cls(
            path,
            segments,
            {symbol.name: symbol for symbol in symbols},
            footprint,
            code,
            is_riscv,
            tuple(functions),
            tuple(function.address for function in functions),
        )

    def symbol(self, name: str) -> Symbol:
        """The symbol called ``name``.

        Raises:
            EmulatorError: There is none: the program was not linked with the harness.
        """
        if name not in self.symbols:
            raise EmulatorError(
                f"it defines no {name!r}",
                where=str(self.path),
                hint="link it with smidgen.targets.build_firmware and define the tables and the "
                "function that firmware/sm_harness.h asks for",
            )
        return self.symbols[name]

    def function_at(self, address: int) -> str:
        """Name of the function whose code holds ``address``, or "" for none."""
        index = bisect_right(self._function_starts, address) - 1
        if index < 0:
            return ""
        function = self._functions[index]
        return function.name if address < function.address + function.size else ""

    def read(self, address: int, size: int) -> bytes:
        """Stored bytes at ``address`` (code or constants).

        Raises:
            EmulatorError: Nothing is stored there.
        """
        for segment in self.load_segments:
            start = address - segment.address
            if start >= 0 and start + size <= len(segment.data):
                return segment.data[start : start + size]
        raise EmulatorError(f"nothing is stored at 0x{address:08x}", where=str(self.path))


def _read_symbols(elf: Any) -> list[Symbol]:
    """Named symbols; the ELF lists local ones first, so a global wins where names clash."""
    table = elf.get_section_by_name(".symtab")
    symbols: list[Symbol] = []
    for entry in table.iter_symbols() if table is not None else ():
        kind = entry["st_info"]["type"]
        if not entry.name or entry.name.startswith("$") or entry["st_shndx"] == "SHN_UNDEF":
            continue
        if kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE"):
            continue
        is_function = kind == "STT_FUNC"
        # Bit 0 of a Thumb function's value says "Thumb"; the code starts one byte lower.
        address = entry["st_value"] & ~1 if is_function else entry["st_value"]
        symbols.append(Symbol(entry.name, address, entry["st_size"], is_function))
    return symbols


def _measure(elf: Any) -> Footprint:
    code = constants = data = bss = 0
    for section in elf.iter_sections():
        flags, size, name = section["sh_flags"], section["sh_size"], section.name
        if not flags & _ALLOC or name.startswith(HARNESS_SECTION_PREFIX) or name == STACK_SECTION:
            continue
        if name == CONSTANTS_SECTION:
            constants += size
        elif section["sh_type"] == "SHT_NOBITS":
            bss += size
        elif flags & _WRITE:
            data += size
            code += size
        else:
            code += size
    return Footprint(code, constants, data, bss)
