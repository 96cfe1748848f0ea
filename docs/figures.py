"""What each technique of training reached, as the pages about them show it."""

from __future__ import annotations

from pathlib import Path

from benchmarks._compression_rows import TASKS, TITLES, gains, percent, results
from benchmarks._shared import table

REPO = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures: python -m docs.generate -->\n", "<!-- end of figures -->"

PAGES = {
    "training.md": ("int8-ptq", "from-keras", "from-tflite", "from-torch"),
    "prune-channels.md": ("half", "uniform", "few"),
    "prune-connections.md": ("sparse80", "sparse90"),
    "qat.md": ("int8", "int4", "int4-short"),
    "distil.md": (),
}
"""Which rows of the benchmark a page shows; none are what a teacher adds to each."""

_SOURCE = (
    "\nMeasured on the integer `.tflite` by LiteRT on the full test sets, which nothing was chosen "
    "on; all of it, with seeds and commands, is in [the benchmark](../benchmarks/compression.md).\n"
)
SHORT = {"cifar": "CIFAR-10", "kws": "keywords"}
COLUMNS = (
    "", "taught by", "accuracy", "of the float model", "MACs", "weights, bytes", "gzip, bytes",
    "flash, bytes", "RAM, bytes",
)  # fmt: skip


def page(name: str) -> str:
    """A page with its figures renewed."""
    text = (REPO / "docs" / name).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table = _rows(PAGES[name]) if PAGES[name] else _gains()
    return f"{before}{BEGIN}{table}{_SOURCE}{END}{rest.split(END, 1)[1]}"


def _rows(kinds: tuple[str, ...]) -> str:
    rows = []
    for task in TASKS:
        for kind in kinds:
            for name, r in results().items():
                where, what, taught, seed = name.split()
                if (where, what, seed) == (task, kind, "0"):
                    numbers = (r.macs, r.weight_bytes, r.gzip_bytes, r.flash_bytes, r.ram_bytes)
                    accuracies = (percent(r.accuracy), percent(r.float_accuracy))
                    rows.append((f"{SHORT[task]}: {TITLES[what]}", taught, *accuracies, *numbers))
    return table(COLUMNS, rows)


def _gains() -> str:
    columns = ("", "seeds", "points gained", "standard error", "beyond two errors")
    rows = [(f"{SHORT[str(t)]}: {title}", *rest) for t, title, *rest in gains(results())]
    return table(columns, rows)
