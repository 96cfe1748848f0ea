"""The compilers: one for the chip, one for this machine.

For the chip it is ``arm-none-eabi-gcc`` (or ``riscv64-unknown-elf-gcc``) when that is on PATH,
because it is what products ship with; else the ``ziglang`` package, which needs nothing but pip.
For this machine it is the system
compiler, else zig again.

Example:
    >>> find_toolchain(core="cortex-m4").name in ("gcc", "zig")
    True
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from smidgen.errors import ToolchainError, ToolMissingError
from smidgen.targets.cores import Core, get_core
from smidgen.targets.elf import CONSTANTS_INPUT_SECTION

OPT_LEVELS = ("0", "1", "2", "3", "s", "z")

#: Puts a model's constants where the linker script and the size report find them. Generated code
#: says ``static const SM_CONST int8_t weights[] = {...};`` and defines SM_CONST as nothing when
#: nobody else has.
SM_CONST_DEFINE = f'SM_CONST=__attribute__((section("{CONSTANTS_INPUT_SECTION}")))'

_FIRMWARE_DIR = Path(__file__).parent / "firmware"
_TIMEOUT_SECONDS = 600  # zig builds its run-time library on first use of a core: about 10 s
_EXCERPT_LINES = 30

_COMMON_FLAGS = (
    "-std=c99",
    "-g0",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
    "-fomit-frame-pointer",
    # The host and the chip must round alike: no fused multiply-add behind the program's back.
    "-ffp-contract=off",
)
_GCC_FLAGS = (
    # No C library is assumed, yet memcpy and its kin stay known: a four-byte memcpy is one load.
    "-ffreestanding",
    "-fbuiltin",
    "-nostdlib",
    "-nostartfiles",
)
_ZIG_FLAGS = (
    "-fhosted",  # zig's word for the same: without it small memcpy calls are not expanded
    "-fno-sanitize=all",  # zig cc turns the undefined-behaviour sanitizer on by default
)


@dataclass(frozen=True)
class Toolchain:
    """A compiler and linker for a family of cores.

    Attributes:
        name: "gcc" or "zig".
        command: How it is started.
        version: What it says of itself, one line; printed beside every figure it makes.
    """

    name: str
    command: tuple[str, ...]
    version: str

    def compile_and_link(
        self,
        sources: Sequence[str | Path],
        include_dirs: Sequence[str | Path],
        out_elf: str | Path,
        core: str,
        opt_level: str = "2",
        defines: Sequence[str] = (),
        linker_script: str | Path = "",
        extra_flags: Sequence[str] = (),
    ) -> Path:
        """Compile C (or assembly) files for a core and link them, unused functions dropped.

        No start-up code and no C library are added: ``smidgen.targets.build_firmware`` adds ours.
        The compiler's own arithmetic (libgcc, compiler-rt) is linked where a core needs it.

        Args:
            sources: C99 files, or ``.s``/``.S``.
            include_dirs: Searched for headers, in this order.
            out_elf: The ELF to write; its folder is made.
            core: A name from ``smidgen.targets.cores``, for example "cortex-m4".
            opt_level: "0", "1", "2", "3", "s" or "z".
            defines: Macros, "NAME" or "NAME=value". ``SM_CONST`` is always defined.
            linker_script: A script for GNU ld; ``smidgen.targets.linker_script`` writes one.
            extra_flags: Passed to the compiler as they are, last.

        Returns:
            ``out_elf``.

        Raises:
            ToolchainError: The compiler or linker refused; ``error.output`` is all it printed.
        """
        if opt_level not in OPT_LEVELS:
            raise ToolchainError(
                f"unknown optimization level {opt_level!r}",
                hint="use one of " + ", ".join(OPT_LEVELS),
            )
        out = Path(out_elf)
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *self.command,
            *self._core_flags(get_core(core)),
            *_COMMON_FLAGS,
            f"-O{opt_level}",
            *self._symbol_flags(opt_level),
            f"-D{SM_CONST_DEFINE}",
            *(f"-D{define}" for define in defines),
            *(f"-I{directory}" for directory in include_dirs),
            # Last resort for <string.h>: bare-metal zig has none.
            "-idirafter",
            str(_FIRMWARE_DIR / "include"),
            *(str(source) for source in sources),
            "-Wl,--gc-sections",
            "-Wl,--entry=sm_reset",
            *([f"-T{linker_script}"] if str(linker_script) else []),
            *extra_flags,
            *(["-lgcc"] if self.name == "gcc" else []),
            "-o",
            str(out),
        ]
        _run(command, f"compiling for {core} with {self.version}")
        return out

    def _symbol_flags(self, opt_level: str) -> tuple[str, ...]:
        """Symbols are how the emulators find the model, and zig drops them at -Os and -Oz."""
        return ("-g",) if self.name == "zig" and opt_level in "sz" else ()

    def _core_flags(self, core: Core) -> tuple[str, ...]:
        if self.name == "gcc":
            return (*core.gcc_flags, *_GCC_FLAGS)
        return (*core.zig_flags, *_ZIG_FLAGS)


def find_toolchain(prefer: str | None = None, core: str = "cortex-m4") -> Toolchain:
    """The compiler for a core that this machine has.

    Args:
        prefer: "gcc" or "zig" to insist on one; by default gcc when it is on PATH, else zig.
        core: A name from ``smidgen.targets.cores``: each family of cores has its own gcc.

    Returns:
        The toolchain.

    Raises:
        ToolMissingError: Neither is installed, or not the one insisted on.
        ToolchainError: ``prefer`` is something else.
        BoardError: The core is unknown.
    """
    if prefer not in (None, "gcc", "zig"):
        raise ToolchainError(f"unknown toolchain {prefer!r}", hint="use 'gcc' or 'zig'")
    wanted = get_core(core).gcc
    gcc = shutil.which(wanted)
    if gcc and prefer != "zig":
        return Toolchain("gcc", (gcc,), _version(gcc, "--version"))
    zig = _zig_command()
    if zig and prefer != "gcc":
        return Toolchain("zig", (*zig, "cc"), "zig " + _version(*zig, "version"))
    if prefer == "gcc":
        raise ToolMissingError(
            wanted,
            purpose="compiling firmware with gcc",
            hint=f"install it (Debian: apt install gcc-{wanted.removesuffix('-gcc')}) or use zig",
        )
    raise ToolMissingError("ziglang", extra="emulate", purpose="compiling firmware")


def host_compile_shared(
    sources: Sequence[str | Path], out: str | Path, flags: Sequence[str] = ()
) -> Path:
    """Compile C files into a shared library for this machine, to be loaded by ctypes or cffi.

    Args:
        sources: C99 files.
        out: The library to write; its folder is made.
        flags: Added after ours (``-std=c99 -O2 -fPIC -shared -ffp-contract=off``), so they win.

    Returns:
        ``out``.

    Raises:
        ToolMissingError: There is no host compiler and no zig.
        ToolchainError: The compiler refused; ``error.output`` is all it printed.
    """
    compiler = find_host_compiler()
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    ours = ["-std=c99", "-O2", "-fPIC", "-shared", "-ffp-contract=off"]
    if "ziglang" in compiler:
        ours.append("-fno-sanitize=all")
    files = [str(source) for source in sources]
    _run([*compiler, *ours, *files, *flags, "-o", str(out)], "compiling for this machine")
    return out


def find_host_compiler() -> tuple[str, ...]:
    """Command of a C compiler for this machine: ``$CC``, cc, gcc, clang or zig, the first found.

    Raises:
        ToolMissingError: There is none.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = name.split()  # CC may carry flags or a wrapper: "ccache gcc"
        if words and shutil.which(words[0]):
            return tuple(words)
    zig = _zig_command()
    if zig:
        return (*zig, "cc")
    raise ToolMissingError(
        "a C compiler",
        purpose="compiling for this machine",
        hint="install gcc or clang, or run: pip install 'smidgen[emulate]'",
    )


def host_compiler_version() -> str:
    """What the C compiler for this machine says of itself, in one line."""
    return _version(*find_host_compiler(), "--version")


def _zig_command() -> tuple[str, ...]:
    if importlib.util.find_spec("ziglang") is None:
        return ()
    return (sys.executable, "-m", "ziglang")


@cache
def _version(*command: str) -> str:
    printed = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    ).stdout
    return printed.splitlines()[0].strip() if printed.strip() else Path(command[0]).name


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ToolchainError(f"{what} took over {_TIMEOUT_SECONDS} s") from None
    except OSError as error:
        raise ToolchainError(f"{what}: cannot start {command[0]} ({error})") from None
    if done.returncode != 0:
        output = done.stderr + done.stdout
        raise ToolchainError(f"{what} failed:\n{_excerpt(output)}", output=output)


def _excerpt(output: str) -> str:
    """The first lines from the first error on: what a person needs of pages of messages."""
    lines = output.strip().splitlines()
    first = next((i for i, line in enumerate(lines) if "error" in line.lower()), 0)
    return "\n".join(lines[max(0, first - 1) : first + _EXCERPT_LINES])
