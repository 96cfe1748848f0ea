"""Linking a model into a program that the emulators run and the size report measures.

Example:
    A harness (``firmware/sm_harness.h`` states the contract) says where the inputs and outputs
    lie and calls the model once::

        #include "sm_harness.h"
        #include "kws.h"

        static int8_t arena[KWS_ARENA_BYTES];
        SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{arena + 64, 490}, {0, 0}};
        SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{arena, 12}, {0, 0}};
        SM_HARNESS_CODE int sm_invoke(void) { return kws_invoke(arena); }

    and then, from Python::

        elf = build_firmware(["kws.c", "harness.c"], ["include"], "kws.elf", core="cortex-m4")
        run = UnicornEmulator(elf, "cortex-m4").invoke([input_bytes])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.targets.toolchain import Toolchain, find_toolchain

_HERE = Path(__file__).parent

#: What is reserved for the stack in an emulated program; the emulators refuse to go below it.
STACK_BYTES = 64 * 1024


@dataclass(frozen=True)
class MemoryMap:
    """Where a program may lie.

    Attributes:
        flash_origin: First address of flash.
        flash_bytes: Its size.
        ram_origin: First address of RAM.
        ram_bytes: Its size.
    """

    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int


#: Room for any model, so that a program too big for its board still links and can be measured:
#: whether it fits is then arithmetic, with the number of bytes it lacks.
ROOMY = MemoryMap(0x08000000, 128 << 20, 0x20000000, 128 << 20)


def linker_script(memory: MemoryMap = ROOMY, stack_bytes: int = STACK_BYTES) -> str:
    """The linker script for a program that starts with our vector table or reset code.

    Args:
        memory: Origins and sizes; the linker refuses a program that does not fit.
        stack_bytes: Reserved above .bss for the stack.

    Returns:
        The script's text, for GNU ld and LLD.
    """
    script = (_HERE / "link.ld.in").read_text(encoding="utf-8")
    for name, value in (
        ("FLASH_ORIGIN", memory.flash_origin),
        ("FLASH_BYTES", memory.flash_bytes),
        ("RAM_ORIGIN", memory.ram_origin),
        ("RAM_BYTES", memory.ram_bytes),
        ("STACK_BYTES", stack_bytes),
    ):
        script = script.replace(f"@{name}@", f"0x{value:x}")
    return script


def build_firmware(
    sources: Sequence[str | Path],
    include_dirs: Sequence[str | Path],
    out_elf: str | Path,
    core: str,
    *,
    toolchain: Toolchain | None = None,
    opt_level: str = "2",
    defines: Sequence[str] = (),
    memory: MemoryMap = ROOMY,
    harness: str = "unicorn",
    extra_flags: Sequence[str] = (),
) -> Path:
    """Compile a model and its harness with our start-up code and link them.

    Args:
        sources: The model, its kernels, and the file that defines ``sm_inputs``, ``sm_outputs``
            and ``sm_invoke`` as ``firmware/sm_harness.h`` asks.
        include_dirs: Searched for headers; the folder of ``sm_harness.h`` is added.
        out_elf: The ELF to write; the linker script goes beside it.
        core: For example "cortex-m4".
        toolchain: From ``find_toolchain``; by default what this machine has.
        opt_level: "0", "1", "2", "3", "s" or "z".
        defines: Macros; "SM_TRACE" makes a model report every step.
        memory: Where the program may lie. ``board.memory`` makes the linker refuse what does not
            fit; the default has room for anything.
        harness: "unicorn", or "qemu" for a program that talks to QEMU by semihosting.
        extra_flags: Passed to the compiler as they are.

    Returns:
        ``out_elf``.

    Raises:
        ToolchainError: It does not compile, or does not fit ``memory``.
        ToolMissingError: There is no compiler.
    """
    toolchain = toolchain or find_toolchain(core=core)
    out = Path(out_elf)
    out.parent.mkdir(parents=True, exist_ok=True)
    script = out.with_suffix(".ld")
    script.write_text(linker_script(memory), encoding="utf-8")
    ours = ["startup.c", "libc.c", {"unicorn": "harness.c", "qemu": "semihosting.c"}[harness]]
    return toolchain.compile_and_link(
        sources=[*(_HERE / name for name in ours), *sources],
        include_dirs=[*include_dirs, _HERE],
        out_elf=out,
        core=core,
        opt_level=opt_level,
        defines=defines,
        linker_script=script,
        extra_flags=extra_flags,
    )
