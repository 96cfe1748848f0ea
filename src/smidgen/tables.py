"""What the command line prints for people, and the small inputs it reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from smidgen.errors import DataError, SmidgenError
from smidgen.ir import Graph

if TYPE_CHECKING:
    from smidgen.facts import ModelFacts
    from smidgen.report.result import Squeezed
    from smidgen.targets.board import Board
    from smidgen.transforms.quantize import LayerError

Array = np.ndarray[Any, Any]

_UNITS = {"": 1, "B": 1, "KB": 1024, "K": 1024, "KIB": 1024, "MB": 1 << 20, "M": 1 << 20}


def parse_bytes(text: str | None) -> int | None:
    """A size such as 64KB (1 KB = 1,024 bytes), 1.5MB or 32768, in bytes.

    Raises:
        SmidgenError: if it is no size.

    Example:
        >>> parse_bytes("64KB")
        65536
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise SmidgenError(f"{text!r} is not a size", hint="write it as 65536, 64KB or 1MB")
    return int(float(found[1]) * unit)


def read_inputs(graph: Graph, path: Path | None, samples: int = 1) -> list[Array]:
    """Inputs from an `.npy` file for a model with one input; seeded random ones if there is none.

    Raises:
        DataError: if the file is no array or does not fit.
    """
    from smidgen.data import to_model
    from smidgen.interpreter import random_inputs

    if path is None:
        return random_inputs(graph, samples)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"is not a readable .npy file ({error})", where=str(path)) from error
    if not isinstance(array, np.ndarray):
        raise DataError("is an .npz archive", where=str(path), hint="give one array, as .npy")
    if array.ndim < 1 or not len(array):
        raise DataError("holds no samples", where=str(path), hint="save an array (n, ...)")
    return [to_model(graph, array)]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table; columns whose name ends in a space are aligned to the left, others to the right."""
    result = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        left = column.endswith(" ")
        result.add_column(column.strip(), justify="left" if left else "right", overflow="fold")
    for row in rows:
        result.add_row(*[_cell(item) for item in row])
    return result


def _cell(item: Any) -> str:
    if item is None:
        return "–"
    if isinstance(item, float):
        return f"{item:,.1f}"
    return f"{item:,}" if isinstance(item, int) else str(item)


def inspect(facts: ModelFacts) -> list[Any]:
    """The layers and sums of a model."""
    rows = [
        (i, x.label, f"{x.dtype}{list(x.shape)}", x.macs, x.constant_bytes, x.obstacle or "")
        for i, x in enumerate(facts.layers)
    ]
    columns = ("#", "layer ", "output ", "MACs", "constants B", "obstacle ")
    lines = [
        f"inputs   {', '.join(facts.inputs)}",
        f"outputs  {', '.join(facts.outputs)}",
        f"{facts.parameters:,} parameters in {facts.constant_bytes:,} bytes, {facts.macs:,} MACs, "
        f"{facts.activation_bytes:,} bytes of activations at the peak",
    ]
    if facts.obstacles:
        lines.append(f"{len(facts.obstacles)} layers have no C kernel as they are: see obstacle")
    return [table(facts.name, columns, rows), *lines]


def boards(known: Sequence[Board]) -> Table:
    """Boards by name."""
    rows = [
        (b.name, b.title, b.core, f"{b.clock_mhz:g}", b.flash_bytes // 1024, b.ram_bytes // 1024)
        for b in known
    ]
    return table("Boards", ("name ", "board ", "core ", "MHz", "flash KB", "RAM KB"), rows)


def shrink(facts: dict[str, Any]) -> list[str]:
    """What shrinking did."""
    before, after = facts["file_bytes"]
    return [
        *facts["changes"],
        f"file {before:,} → {after:,} bytes, constants "
        f"{facts['constant_bytes'][0]:,} → {facts['constant_bytes'][1]:,}; outputs identical",
        f"wrote {facts['out']}",
    ]


def quantize(facts: dict[str, Any], errors: Sequence[LayerError]) -> list[Any]:
    """The layers that lose most."""
    rows = [(e.layer, e.own_snr_db, e.snr_db, f"{e.clipped:.2%}", e.cause) for e in errors[:10]]
    columns = ("layer ", "own dB", "so far dB", "clipped", "likely cause ")
    return [
        table("Signal to noise by layer, worst first", columns, rows),
        f"wrote {facts['out']}: {facts['file_bytes']:,} bytes, of which "
        f"{facts['constant_bytes']:,} are constants",
    ]


def compile(facts: dict[str, Any]) -> list[Any]:
    """Sizes on the board."""
    rows = [
        ("flash", facts["flash_bytes"], facts["spare"]["flash"]),
        ("  code", facts["code_bytes"], None),
        ("  constants", facts["constant_bytes"], None),
        ("RAM", facts["ram_bytes"], facts["spare"]["ram"]),
        ("  tensor arena", facts["arena_bytes"], None),
        ("  stack", facts["stack_bytes"], None),
    ]
    title = f"{facts['board']}, {facts['toolchain']}"
    return [table(title, ("memory ", "bytes", "to spare"), rows), f"wrote {facts['out']}"]


def run(facts: dict[str, Any]) -> list[Any]:
    """Outputs and cost."""
    parts: list[Any] = [f"output {i}: {o}" for i, o in enumerate(facts["outputs"])]
    if facts["layers"]:
        rows = [(x["layer"], x["instructions"], x["cycles_estimated"]) for x in facts["layers"]]
        parts.append(table("Layers", ("layer ", "instructions", "cycles (estimated)"), rows))
    if facts["instructions"] is not None:
        parts.append(
            f"{facts['instructions']:,} instructions, {_cell(facts['cycles_estimated'])} cycles "
            f"(estimated), {facts['stack_bytes']:,} bytes of stack, on {facts['on']}"
        )
    return parts


def squeeze(result: Squeezed) -> list[Any]:
    """Before and after, what the firmware takes, and the verdict."""
    from smidgen.report.result import summary

    facts = summary(result)
    firmware = facts["firmware"]
    before, after = (s.value if s else None for s in (result.before, result.after))
    metric = result.after.metric if result.after else "accuracy"
    shown = [None if v is None else f"{v:.2%}" if metric == "accuracy" else f"{v:.4g}"
             for v in (before, after)]  # fmt: skip
    rows = [
        (metric, *shown),
        ("MACs", facts["source"]["macs"], facts["result"]["macs"]),
        ("constants B", facts["source"]["constant_bytes"], facts["result"]["constant_bytes"]),
        (".tflite B", None, facts["result"]["tflite_bytes"]),
        ("flash B", None, firmware["flash_bytes"]),
        ("RAM B", None, firmware["ram_bytes"]),
        ("instructions", None, firmware["instructions"]),
        ("ms (estimated)", None, firmware["milliseconds_estimated"]),
    ]
    parts: list[Any] = [
        table(f"{facts['model']} on {facts['board']}", ("", "before", "after"), rows),
        result.verification.table(),
        f"[bold {'green' if result.fits else 'red'}]{result.verdict}[/]",
    ]
    if result.out is not None:
        parts.append(f"results in {result.out}")
    return parts
