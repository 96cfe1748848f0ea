"""The processor cores Smidgen compiles for: flags and what can emulate them.

One table, because a flag that one tool gets and another does not is a build that measures
something else than it ships.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from smidgen.errors import BoardError


@dataclass(frozen=True)
class Core:
    """One processor core as the toolchains and the emulators know it.

    Attributes:
        name: The key of ``CORES``: Arm's own name, ``+nofp`` where the FPU is left out; for
            RISC-V the instruction set.
        architecture: "armv6-m", "armv7-m", "armv7e-m", "armv8-m.main", "armv8.1-m.main" or
            "riscv32".
        fpu: "none", "single" or "double": what the generated code uses. The Cortex-M7 is built
            for single precision even where the part has double: nothing here computes in double,
            and the emulated M7 has the single-precision unit.
        dsp: Whether the core has the DSP extension (SMLAD and its kin).
        mve: Whether the core has Helium, the M-profile vector extension.
        gcc: The name of gcc for the core, as it is found on PATH.
        gcc_flags: What that gcc is given.
        zig_flags: What ``zig cc`` is given. Zig's core names switch no FPU on by themselves.
        unicorn_model: Name of the model in ``unicorn.arm_const`` (for RISC-V in
            ``unicorn.riscv_const``), None where unicorn has none.
        qemu_machine: QEMU machine that stands in for the core. The M0+ runs on a Cortex-M3: it
            executes the same Armv6-M code one for one.
    """

    name: str
    architecture: str
    fpu: str
    dsp: bool
    mve: bool
    gcc: str
    gcc_flags: tuple[str, ...]
    zig_flags: tuple[str, ...]
    unicorn_model: str | None
    qemu_machine: str | None

    @property
    def cycles_per_mac(self) -> float | None:
        """The fewest cycles that an int8 multiply-accumulate can take; None where none is stated.

        The DSP extension does two in one cycle (SMLAD), loads and the unpacking of bytes aside.
        """
        return 0.5 if self.dsp and not self.mve else None


def _core(
    name: str,
    architecture: str,
    zig_cpu: str,
    *,
    fpu: str = "none",
    gcc_fpu: str | None = None,
    dsp: bool = False,
    mve: bool = False,
    unicorn_model: str | None = None,
    qemu_machine: str | None = None,
) -> Core:
    hard = fpu != "none"
    gcc = [f"-mcpu={name}", "-mthumb", f"-mfloat-abi={'hard' if hard else 'soft'}"]
    if gcc_fpu:
        gcc.append(f"-mfpu={gcc_fpu}")
    abi = "eabihf" if hard else "eabi"
    return Core(
        name=name,
        architecture=architecture,
        fpu=fpu,
        dsp=dsp,
        mve=mve,
        gcc="arm-none-eabi-gcc",
        gcc_flags=tuple(gcc),
        zig_flags=("-target", f"thumb-freestanding-{abi}", f"-mcpu={zig_cpu}"),
        unicorn_model=unicorn_model,
        qemu_machine=qemu_machine,
    )


def _riscv(name: str) -> Core:
    """A 32-bit RISC-V core without floating point, by its instruction set."""
    letters = name.removeprefix("rv32i")
    return Core(
        name=name,
        architecture="riscv32",
        fpu="none",
        dsp=False,
        mve=False,
        gcc="riscv64-unknown-elf-gcc",
        gcc_flags=(f"-march={name}", "-mabi=ilp32"),
        zig_flags=(
            *("-target", "riscv32-freestanding-none"),
            "-mcpu=generic_rv32" + "".join(f"+{letter}" for letter in letters),
        ),
        unicorn_model="UC_CPU_RISCV32_ANY",
        qemu_machine="virt",
    )


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _core(
            "cortex-m0plus",
            "armv6-m",
            "cortex_m0plus",
            unicorn_model="UC_CPU_ARM_CORTEX_M0",
            qemu_machine="mps2-an385",
        ),
        _core(
            "cortex-m3",
            "armv7-m",
            "cortex_m3",
            unicorn_model="UC_CPU_ARM_CORTEX_M3",
            qemu_machine="mps2-an385",
        ),
        _core(
            "cortex-m4",
            "armv7e-m",
            "cortex_m4+vfp4d16sp",
            fpu="single",
            gcc_fpu="fpv4-sp-d16",
            dsp=True,
            unicorn_model="UC_CPU_ARM_CORTEX_M4",
            qemu_machine="mps2-an386",
        ),
        _core(
            "cortex-m4+nofp",
            "armv7e-m",
            "cortex_m4",
            dsp=True,
            unicorn_model="UC_CPU_ARM_CORTEX_M4",
            qemu_machine="mps2-an386",
        ),
        _core(
            "cortex-m7",
            "armv7e-m",
            "cortex_m7+fp_armv8d16sp",
            fpu="single",
            gcc_fpu="fpv5-sp-d16",
            dsp=True,
            unicorn_model="UC_CPU_ARM_CORTEX_M7",
            qemu_machine="mps2-an500",
        ),
        _core(
            "cortex-m33",
            "armv8-m.main",
            "cortex_m33+fp_armv8d16sp+dsp",
            fpu="single",
            gcc_fpu="fpv5-sp-d16",
            dsp=True,
            unicorn_model="UC_CPU_ARM_CORTEX_M33",
            qemu_machine="mps2-an505",
        ),
        _core(
            "cortex-m33+nofp",
            "armv8-m.main",
            "cortex_m33+dsp",
            dsp=True,
            unicorn_model="UC_CPU_ARM_CORTEX_M33",
            qemu_machine="mps2-an505",
        ),
        _core(
            "cortex-m55",
            "armv8.1-m.main",
            "cortex_m55+fp_armv8d16+mve_fp+dsp",
            fpu="double",
            dsp=True,
            mve=True,
            qemu_machine="mps3-an547",
        ),
        _riscv("rv32imc"),
        _riscv("rv32imac"),
    )
}


def get_core(name: str) -> Core:
    """Look a core up.

    Args:
        name: For example "cortex-m4" or "rv32imc"; upper case and underscores are accepted.

    Returns:
        The core.

    Raises:
        BoardError: The core is unknown; the hint names the nearest ones.

    Example:
        >>> get_core("cortex-m4").dsp
        True
    """
    key = name.lower().replace("_", "-").replace("m0+", "m0plus")
    if key in CORES:
        return CORES[key]
    near = difflib.get_close_matches(key, CORES, n=3, cutoff=0.5) or list(CORES)
    raise BoardError(f"unknown core {name!r}", hint="use one of " + ", ".join(near))
