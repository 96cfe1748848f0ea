"""The page of `compression.py`, from the rows that are kept."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks._compression_rows import (
    ASKED,
    TASKS,
    TITLES,
    Result,
    frameworks,
    gains,
    percent,
    results,
)
from benchmarks._compression_runs import BOARD
from benchmarks._shared import keep, table


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


def write() -> None:
    """Renew `compression.md`."""
    found = results()
    parts = [
        "Accuracy is that of the written integer `.tflite`, run by LiteRT on the full test set, "
        "once. A tenth of the training samples was held apart to choose on (its accuracy is in "
        "the column *held apart*, too high on CIFAR-10, whose published network has seen all "
        "training images); nothing was chosen on test samples. *Distilled* rows learn from a "
        "teacher (CIFAR-10: ResNet-56 with published weights, 93.39 %; keywords: the network "
        "before it is made smaller) at temperature 4 and from labels wherever something is "
        "taken away, *labels* rows have the same schedule without one. Flash and RAM are those "
        f"of firmware linked for {BOARD}. Time is that of all trainings behind a row, one thread "
        "on a busy machine, without the teacher's answers. A row is made again by `python -m "
        'benchmarks.compression "TASK WHAT TAUGHT SEED"`, such as `"cifar half distilled 0"`.\n'
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
    parts += [
        "## One network from three frameworks\n",
        "Points of accuracy on the test set from the same commands on the Keras model.\n",
        table(
            ("from", "seeds", "points", "standard error", "at most"),
            list(frameworks(found)),
        ),
    ]
    keep(
        "compression",
        "Pruned, distilled, trained in integers",
        "python -m benchmarks compression",
        parts,
    )
