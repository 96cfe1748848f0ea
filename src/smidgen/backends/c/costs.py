"""What kernels cost: measured once by `smidgen calibrate`, kept in costs.toml, read from there.

A kernel says how often it does what (`Kernel.work`); the file says how many estimated cycles one
of each takes on a core, and how many bytes the kernel's code has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from smidgen.ops import Kernel, Site

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COSTS = Path(__file__).with_name("costs.toml")
CODE = "code"  # the key of a kernel's code bytes, beside those of its work
RUNTIME = "runtime"  # the entry of what every program has: start-up and library
UNKNOWN_CODE = 600  # bytes of a kernel that nobody measured: about the average


@dataclass(frozen=True)
class Costs:
    """The costs on one core.

    Args:
        core: the core.
        table: by kernel symbol, cycles of each unit of work, and bytes of code.
    """

    core: str
    table: Mapping[str, Mapping[str, float]]

    def cycles(self, kernel: Kernel, site: Site) -> float | None:
        """Estimated cycles of a call; None if the kernel was not measured on the core."""
        measured = self.table.get(kernel.symbol)
        if kernel.work is None or measured is None:
            return None
        work = kernel.work(site)
        if not work.keys() <= measured.keys():
            return None  # the file is older than the kernel
        return sum(measured[what] * times for what, times in work.items())

    def code(self, kernels: Iterable[Kernel]) -> int:
        """Bytes of code of a program that calls these kernels: at most, for they share parts."""
        symbols = {kernel.symbol for kernel in kernels if not kernel.alias}
        sizes = [self.table.get(s, {}).get(CODE, UNKNOWN_CODE) for s in symbols]
        return int(sum(sizes) + self.table.get(RUNTIME, {}).get(CODE, 0))


@cache
def load_costs(core: str) -> Costs:
    """The costs on a core, those on the Cortex-M4 for one that was not measured."""
    tables = tomllib.loads(COSTS.read_text(encoding="utf-8"))
    name = core.split("+")[0]
    return Costs(name, tables.get(name, tables["cortex-m4"]))
