"""Every kernel header compiles on its own, warnings being errors, and needs nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import smidgen

pytestmark = pytest.mark.toolchain

KERNELS = Path(smidgen.__file__).parent / "kernels"
HEADERS = sorted(p.name for p in KERNELS.glob("*.h"))
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-pedantic"]


@pytest.mark.parametrize("compiler", ["gcc", "clang", "arm-none-eabi-gcc"])
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_compiles_on_its_own(header: str, compiler: str, tmp_path: Path) -> None:
    text = (KERNELS / header).read_text(encoding="utf-8")
    names = re.findall(r"^SM_KERNEL void (\w+)\(", text, re.MULTILINE)
    # Taking the address keeps the compiler from calling a static function unused.
    uses = "".join(f"  (void)&{name};\n" for name in names)
    source = tmp_path / "use.c"
    source.write_text(f'#include "{header}"\nvoid use(void);\nvoid use(void) {{\n{uses}}}\n')
    command = [compiler, "-std=c99", "-O2", *WARNINGS, f"-I{KERNELS}", "-c", str(source)]
    done = subprocess.run([*command, "-o", str(tmp_path / "use.o")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_includes_nothing_but_its_kin_and_three_of_the_language(header: str) -> None:
    text = (KERNELS / header).read_text(encoding="utf-8")
    included = set(re.findall(r'#include [<"]([^>"]+)[>"]', text))
    assert included <= {"stddef.h", "stdint.h", "string.h", *HEADERS}


def test_no_two_headers_define_the_same_function() -> None:
    """One model's C may include any of them together."""
    definition = re.compile(r"^(?:static|SM_KERNEL)\b[^;{}()]*?\b(sm_\w+)\(", re.MULTILINE)
    names: dict[str, str] = {}
    for header in HEADERS:
        for name in definition.findall((KERNELS / header).read_text(encoding="utf-8")):
            assert names.setdefault(name, header) == header, name
    assert len(names) > len(HEADERS) / 2
