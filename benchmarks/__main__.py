"""Run one or all benchmarks: `python -m benchmarks [NAME ...]`; results go beside the scripts."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks
from docs import generate


def main() -> None:
    known = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[0] != "_"]
    wanted = sys.argv[1:] or known
    for name in wanted:
        if name not in known:
            raise SystemExit(f"no benchmark {name!r}; there are {', '.join(known)}")
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    generate.main()  # the README shows some of them


if __name__ == "__main__":
    main()
