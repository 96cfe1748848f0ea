"""Damaged model files by the thousand: each loads, or is refused by one clear error.

Real files of every format are mutated (bits, words, offsets, members of archives), loaded in a
process with a limit on memory, and, if they load, described, simplified and compiled to C. A
traceback, a hang or a file that eats memory ends the run and names the mutation; what was found
so is kept as a test.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from benchmarks._shared import MLPERF, SHARED, keep, table
from tests.fuzzing import survive

MINUTES = float(os.environ.get("SMIDGEN_FUZZ_MINUTES", "30"))
LARGEST = 700_000  # bytes of a file that is mutated: larger ones hold more of the same
ROUND = {".tflite": 200, ".onnx": 100, ".keras": 20, ".h5": 20, ".pt2": 10}
READERS = {
    ".tflite": "tests.fuzzing:load_tflite",
    ".onnx": "tests.fuzzing:load_onnx",
    ".keras": "tests.fuzzing:load_keras",
    ".h5": "tests.fuzzing:load_h5",
    ".pt2": "tests.fuzzing:load_pt2",
}


def files(folder: Path) -> dict[str, list[Path]]:
    """Real files by format; `folder` takes those that have to be made."""
    found: dict[str, list[Path]] = {suffix: [] for suffix in READERS}
    for path in sorted([*(SHARED / "zoo").iterdir(), *MLPERF.iterdir()]):
        if path.suffix in found and path.stat().st_size <= LARGEST:
            found[path.suffix].append(path)
    found[".pt2"] = [exported(folder)]
    return found


def exported(folder: Path) -> Path:
    """A small network as PyTorch saves what it exports."""
    import torch
    from torch import nn

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 4), nn.Softmax(1),
    ).eval()  # fmt: skip
    path = folder / "small.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 16, 16),)), path)
    return path


def main() -> None:
    """Go round all formats until the time is up, and keep what was seen."""
    import tempfile

    seen: dict[str, Counter[str]] = {suffix: Counter() for suffix in READERS}
    with tempfile.TemporaryDirectory() as folder:
        given = files(Path(folder))
        end, number = time.monotonic() + 60 * MINUTES, 0
        while time.monotonic() < end:
            number += 1
            for suffix, paths in given.items():
                seen[suffix] += survive(
                    READERS[suffix], paths, ROUND[suffix], seed=1000 * number, timeout=1800
                )
            print(number, {k: dict(v) for k, v in seen.items()}, flush=True)
    kinds = sorted({kind for counter in seen.values() for kind in counter})
    rows = [
        (suffix, len(given[suffix]), counter.total(), *(counter[k] for k in kinds))
        for suffix, counter in seen.items()
    ]
    keep(
        "fuzz",
        "Damaged files",
        f"SMIDGEN_FUZZ_MINUTES={MINUTES:g} python -m benchmarks fuzz",
        [
            "What became of mutations of real files: no crash, no hang, no traceback, at most 1 GB "
            "of memory.\n",
            table(("format", "real files", "mutations", *kinds), rows),
        ],
    )


if __name__ == "__main__":
    main()
