from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from smidgen.errors import ToolchainError, ToolMissingError
from smidgen.targets import (
    Image,
    MemoryMap,
    build_firmware,
    find_toolchain,
    host_compile_shared,
    linker_script,
    load_board,
)
from smidgen.targets import toolchain as toolchain_module
from smidgen.targets.cores import CORES
from smidgen.targets.emulators import native
from tests.targets.conftest import PROGRAMS, Build
from tests.targets.tools import need

pytestmark = pytest.mark.toolchain
may_skip = pytest.mark.may_skip("arm-none-eabi-gcc is a system package")

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-pedantic"]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def elf_flags(elf: Path) -> int:
    """e_flags of the ELF header: 0x400 hard-float, 0x200 soft-float calling convention."""
    return int.from_bytes(elf.read_bytes()[36:40], "little")


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_our_own_c_compiles_without_a_warning(core: str, toolchain: str, tmp_path: Path) -> None:
    need(toolchain)
    for harness in ("unicorn", "qemu"):
        elf = build_firmware(
            [PROGRAMS / "dot.c", PROGRAMS / "harness.c"],
            [],
            tmp_path / f"{harness}.elf",
            core,
            toolchain=find_toolchain(toolchain),
            harness=harness,
            extra_flags=WARNINGS,
        )
        assert elf.read_bytes()[:4] == b"\x7fELF"
        assert elf_flags(elf) & 0x600 == (0x400 if CORES[core].fpu != "none" else 0x200)


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("core", list(CORES))
def test_every_core_gets_the_extensions_it_has(core: str, toolchain: str, tmp_path: Path) -> None:
    """The compiler's own macros, asserted at compile time by the program."""
    need(toolchain, riscv=CORES[core].gcc.startswith("riscv"))
    info = CORES[core]
    checks = {
        "__ARM_FP": info.fpu != "none",
        "__ARM_FEATURE_DSP": info.dsp,
        "__ARM_FEATURE_MVE": info.mve,
    }
    lines = [
        f"#if {'!' if present else ''}defined({macro})\n#error {macro}\n#endif"
        for macro, present in checks.items()
    ]
    source = write(tmp_path, "check.c", "\n".join(lines) + "\nint sm_reset(void) { return 0; }\n")
    found = find_toolchain(toolchain, core)
    elf = found.compile_and_link([source], [], tmp_path / "check.elf", core)
    assert elf.exists()


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_a_small_memcpy_is_a_load(toolchain: str, tmp_path: Path) -> None:
    """Bare-metal compilers tend to forget what memcpy means and call it for four bytes."""
    need(toolchain)
    source = write(
        tmp_path,
        "small.c",
        "#include <stdint.h>\n#include <string.h>\n"
        "uint32_t sm_reset(const void *p) { uint32_t x; memcpy(&x, p, 4); return x; }\n",
    )
    # No library is linked here: a call to memcpy would not link.
    elf = find_toolchain(toolchain).compile_and_link(
        [source], [], tmp_path / "small.elf", "cortex-m4", extra_flags=["-nostdlib"]
    )
    assert Image.load(elf).symbol("sm_reset").size <= 8


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_sizes_are_what_the_program_has(toolchain: str, build: Build) -> None:
    need(toolchain)
    image = Image.load(build("sections", "cortex-m4", toolchain))
    footprint = image.footprint
    assert footprint.constant_bytes == 1000
    assert footprint.data_bytes == 200
    assert footprint.bss_bytes == 3000
    # Vectors 64, .data image 200, table 64, and start-up code and program: 100 to 600.
    assert 64 + 200 + 64 + 100 < footprint.code_bytes < 64 + 200 + 64 + 600
    assert footprint.flash_bytes == footprint.code_bytes + 1000
    assert footprint.static_ram_bytes == 3200
    assert "nobody_calls_this" not in image.symbols  # dropped by the linker
    assert image.function_at(image.symbol("program").address + 2) == "program"


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_an_error_carries_what_the_compiler_said(toolchain: str, tmp_path: Path) -> None:
    need(toolchain)
    source = write(tmp_path, "bad.c", "int sm_reset(void) { return undeclared_thing; }\n")
    with pytest.raises(ToolchainError, match="undeclared_thing") as caught:
        find_toolchain(toolchain).compile_and_link(
            [source], [], tmp_path / "bad.elf", core="cortex-m4"
        )
    assert "bad.c" in caught.value.output


@may_skip
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_the_linker_refuses_what_does_not_fit(toolchain: str, tmp_path: Path) -> None:
    need(toolchain)
    small = load_board("nucleo-l053r8")  # 8 KB of RAM, and 64 KB are reserved for the stack
    with pytest.raises(ToolchainError, match=r"(?i)RAM"):
        build_firmware(
            [PROGRAMS / "dot.c", PROGRAMS / "harness.c"],
            [],
            tmp_path / "big.elf",
            small.core,
            toolchain=find_toolchain(toolchain),
            memory=small.memory,
        )


def test_a_program_lies_where_the_board_has_memory(tmp_path: Path) -> None:
    board = load_board("nucleo-h743zi2")
    elf = build_firmware(
        [PROGRAMS / "dot.c", PROGRAMS / "harness.c"],
        [],
        tmp_path / "h743.elf",
        board.core,
        memory=board.memory,
    )
    image = Image.load(elf)
    assert image.symbol("sm_vectors").address == 0x08000000
    assert 0x24000000 <= image.symbol("sm_stack_top").address <= 0x24000000 + board.ram_bytes


def test_the_linker_script_holds_no_placeholder() -> None:
    script = linker_script(MemoryMap(0x1000, 0x2000, 0x3000, 0x4000), stack_bytes=512)
    assert "@" not in script
    assert "ORIGIN = 0x1000, LENGTH = 0x2000" in script
    assert "ORIGIN = 0x3000, LENGTH = 0x4000" in script


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    toolchain = find_toolchain("zig")
    with pytest.raises(ToolchainError, match="optimization level 'fast'"):
        toolchain.compile_and_link([], [], tmp_path / "x.elf", "cortex-m4", opt_level="fast")
    with pytest.raises(ToolchainError, match="unknown toolchain 'iar'"):
        find_toolchain("iar")
    assert toolchain.version.startswith("zig 0.")


def test_gcc_comes_first_and_zig_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain_module.shutil, "which", lambda name: None)
    assert find_toolchain().name == "zig"
    with pytest.raises(ToolMissingError, match="arm-none-eabi-gcc is not installed"):
        find_toolchain("gcc")
    monkeypatch.setattr(toolchain_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"pip install 'smidgen\[emulate\]'"):
        find_toolchain()
    with pytest.raises(ToolMissingError, match="a C compiler is not installed"):
        host_compile_shared([], "unused.so")


@pytest.mark.parametrize("compiler", ["system", "zig"])
def test_a_shared_library_for_this_machine(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler == "zig":
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(toolchain_module.shutil, "which", lambda name: None)
    source = write(tmp_path, "twice.c", "int twice(int x) { return SCALE * x; }\n")
    path = host_compile_shared([source], tmp_path / "new" / "twice.so", ["-DSCALE=2"])
    assert ctypes.CDLL(str(path)).twice(21) == 42
    with pytest.raises(ToolchainError, match="SCALE"):
        host_compile_shared([source], tmp_path / "bad.so")


@pytest.mark.parametrize("name", ["hooks", "qemu_plugin"])
def test_the_hooks_compile_without_a_warning(name: str, tmp_path: Path) -> None:
    source = Path(native.__file__).parent / f"{name}.c"
    # The plugin's symbols come from QEMU, so nothing is linked here but what is its own.
    library = host_compile_shared([source], tmp_path / f"{name}.so", WARNINGS)
    assert library.stat().st_size > 1000


def test_a_native_library_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = native.build_native("hooks")
    before = library.stat().st_mtime_ns
    assert library.parent == tmp_path / "smidgen"
    assert native.build_native("hooks") == library
    assert library.stat().st_mtime_ns == before
    assert list(library.parent.iterdir()) == [library]
