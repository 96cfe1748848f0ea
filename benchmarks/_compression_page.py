"""The page of `compression.py`, from the rows that are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks._compression import BOARD, Result, results
from benchmarks._shared import keep, table

TITLES = {
    "int8-ptq": "trained further, then calibrated",
    "int8": "trained further, then in int8",
    "int4": "trained further, then with int4 weights",
    "int4-short": "1.25 epochs with int4 weights, nothing else",
    "half": "half of the MACs: channels chosen over all layers",
    "uniform": "half of the MACs: the same part of every layer",
    "sparse80": "80 % of the connections gone",
    "sparse90": "90 % of the connections gone",
}
# The least accuracy that is asked of a row, and what was hoped for.
ASKED = {
    ("cifar", "int8"): (0.880, 0.886),
    ("cifar", "int4"): (0.876, 0.882),
    ("cifar", "half"): (0.840, 0.855),
    ("cifar", "sparse80"): (0.850, 0.860),
    ("cifar", "sparse90"): (None, 0.820),
    ("kws", "half"): (0.895, 0.905),
    ("kws", "int4"): (0.900, None),
}
TASKS = {
    "cifar": "CIFAR-10: `pretrainedResnet.h5`, 87.19 % in float, scored on the 10,000 test images",
    "kws": "Keyword spotting: `kws_ref_model.keras`, trained on `rest_idx`, scored on the official "
    "1,000 clips (their speakers overlap)",
}


def percent(value: float | None) -> str:
    """As it stands in a cell."""
    return "–" if value is None else f"{value:.2%}"


def rows(task: str, found: dict[str, Result]) -> Iterator[tuple[object, ...]]:
    """One row for each result."""
    for name, r in found.items():
        where, what, taught, _ = name.split()
        if where != task:
            continue
        asked, hoped = ASKED.get((task, what), (None, None))
        yield (
            TITLES[what], taught, r.seed, percent(r.accuracy), percent(asked), percent(hoped),
            percent(r.float_accuracy), percent(r.held_out), f"{r.macs:,}", f"{r.parameters:,}",
            f"{r.sparsity:.1%}", r.weight_bytes, r.file_bytes, r.gzip_bytes, r.flash_bytes,
            r.ram_bytes, f"{r.seconds / 60:.1f}",
        )  # fmt: skip


def gains(found: dict[str, Result]) -> Iterator[tuple[object, ...]]:
    """What a teacher adds to each kind of row: the mean over seeds, and its standard error."""
    kinds = dict.fromkeys(tuple(name.split()[:2]) for name in found)
    for task, what in kinds:
        pairs = [
            (100 * (r.accuracy - other.accuracy))
            for name, r in found.items()
            if name.split()[:3] == [task, what, "distilled"]
            and (other := found.get(f"{task} {what} labels {name.split()[3]}")) is not None
        ]
        if not pairs:
            continue
        error = np.std(pairs, ddof=1) / math.sqrt(len(pairs)) if len(pairs) > 1 else None
        mean = float(np.mean(pairs))
        sure = "–" if error is None else "yes" if abs(mean) > 2 * error else "no"
        yield (
            task, TITLES[what], len(pairs), f"{mean:+.2f}",
            "–" if error is None else f"{error:.2f}", sure,
        )  # fmt: skip


def write() -> None:
    """Renew `compression.md`."""
    found = results()
    parts = [
        "Accuracy is that of the written integer `.tflite`, run by LiteRT's reference kernels on "
        "the full test set, once. A tenth of the training samples was held apart to choose on (its "
        "accuracy is in the column *held apart*); nothing was chosen on test samples. *Distilled* "
        "rows learn from a teacher (CIFAR-10: ResNet-56 with published weights, 93.39 %; keywords: "
        "the network as it was) at temperature 4 and from labels, *labels* rows have the same "
        f"schedule without one. Flash and RAM are those of firmware linked for {BOARD}. Time is "
        "that of all trainings behind a row, one thread on a busy machine, without the teacher's "
        'answers. A row is made again by `python -m benchmarks.compression "TASK WHAT TAUGHT '
        'SEED"`, such as `"cifar half distilled 0"`.\n'
    ]
    for task, title in TASKS.items():
        parts += [
            f"## {title}\n",
            table(
                ("what", "taught by", "seed", "accuracy", "asked", "hoped for", "in float",
                 "held apart", "MACs", "parameters", "sparsity", "weights, bytes", ".tflite, bytes",
                 "gzip, bytes", "flash, bytes", "RAM, bytes", "minutes"),
                list(rows(task, found)),
            ),
        ]  # fmt: skip
    parts += [
        "## What a teacher adds\n",
        "Points of accuracy on the test set over the same schedule on labels alone.\n",
        table(
            ("task", "what", "seeds", "points", "standard error", "beyond two errors"),
            list(gains(found)),
        ),
    ]
    keep(
        "compression",
        "Pruned, distilled, trained in integers",
        "python -m benchmarks compression",
        parts,
    )
