"""The rows that `compression.py` makes, and what they are called."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks._shared import HERE
from smidgen.files import replace_file

RESULTS = HERE / "compression.json"

TITLES = {
    "int8-ptq": "trained further, then calibrated",
    "int8": "trained further, then in int8",
    "int4": "trained further, then with int4 weights",
    "int4-short": "1.25 epochs with int4 weights, nothing else",
    "half": "half of the MACs: channels chosen over all layers",
    "uniform": "half of the MACs: the same part of every layer",
    "sparse80": "80 % of the connections gone",
    "sparse90": "90 % of the connections gone",
    "few": "half of the MACs, healed on 5,000 samples",
    "student": "half of every layer's channels, 10 epochs",
    "unlabelled": "half of every layer's channels: 5,000 labels, or a teacher and no label",
    "from-keras": "70 % of the MACs, healed for 6 epochs, from Keras",
    "from-tflite": "the same commands, from the float `.tflite`",
    "from-torch": "the same commands, from a torch module",
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
# The most points that the same commands may differ by from one framework to another.
ASKED_APART = 0.3
TASKS = {
    "cifar": "CIFAR-10: `pretrainedResnet.h5`, 87.19 % in float, scored on the 10,000 test images",
    "kws": "Keyword spotting: `kws_ref_model.keras`, trained on `rest_idx`, scored on the official "
    "1,000 clips (their speakers overlap)",
}


@dataclass(frozen=True)
class Result:
    """A row.

    Args:
        name: of the run.
        accuracy: of the written integer `.tflite` on the full test set, by LiteRT.
        float_accuracy: of the float model it was made of.
        held_out: of the integer model on the training samples held apart.
        macs, parameters: of the integer model; parameters are elements of its constants.
        sparsity: part of its weights that are zero.
        weight_bytes: bytes of its int8 and int4 constants.
        file_bytes, gzip_bytes: the `.tflite`, and compressed.
        flash_bytes, ram_bytes: linked for the board.
        seed: of the run.
        seconds: of training, all processes' work on this machine, teachers' answers not counted.
    """

    name: str
    accuracy: float
    float_accuracy: float
    held_out: float
    macs: int
    parameters: int
    sparsity: float
    weight_bytes: int
    file_bytes: int
    gzip_bytes: int
    flash_bytes: int
    ram_bytes: int
    seed: int
    seconds: float


def results() -> dict[str, Result]:
    """What is there so far, by name."""
    if not RESULTS.exists():
        return {}
    return {r["name"]: Result(**r) for r in json.loads(RESULTS.read_text(encoding="utf-8"))}


def keep_result(result: Result) -> None:
    """Add a row, or replace the one of its name."""
    found = results() | {result.name: result}
    rows = [asdict(found[name]) for name in sorted(found)]
    replace_file(RESULTS, (json.dumps(rows, indent=1) + "\n").encode())


def percent(value: float | None) -> str:
    """As it stands in a cell."""
    return "–" if value is None else f"{value:.2%}"


def gains(found: dict[str, Result]) -> Iterator[tuple[object, ...]]:
    """What a teacher adds to each kind of row: the mean over seeds, and its standard error."""
    for task, what in dict.fromkeys(tuple(name.split()[:2]) for name in found):
        points = differences(found, f"{task} {what} distilled", f"{task} {what} labels")
        if points:
            mean, error = mean_and_error(points)
            sure = "–" if error is None else "yes" if abs(mean) > 2 * error else "no"
            yield (task, TITLES[what], len(points), f"{mean:+.2f}", digits(error), sure)


def frameworks(found: dict[str, Result]) -> Iterator[tuple[object, ...]]:
    """How far the other frameworks are from Keras: the mean over seeds, and its standard error."""
    keras = "cifar from-keras labels"
    for what in ("from-torch", "from-tflite"):
        points = differences(found, f"cifar {what} labels", keras)
        if points:
            mean, error = mean_and_error(points)
            yield (TITLES[what], len(points), f"{mean:+.2f}", digits(error), ASKED_APART)


def differences(found: dict[str, Result], this: str, that: str) -> list[float]:
    """Points of accuracy from one kind of row to another, for each seed that both have."""
    return [
        100 * (r.accuracy - found[other].accuracy)
        for name, r in found.items()
        if name.rsplit(" ", 1)[0] == this and (other := f"{that} {name.rsplit(' ', 1)[1]}") in found
    ]


def mean_and_error(points: list[float]) -> tuple[float, float | None]:
    """The mean, and its standard error where there are several."""
    error = np.std(points, ddof=1) / math.sqrt(len(points)) if len(points) > 1 else None
    return float(np.mean(points)), error


def digits(value: float | None) -> str:
    """As it stands in a cell."""
    return "–" if value is None else f"{value:.2f}"
