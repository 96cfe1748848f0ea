"""The whole job, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smidgen.cli._shared import (
    DEFAULT_BOARD,
    BoardName,
    Data,
    Fixed,
    Json,
    Model,
    Optimize,
    RecipeName,
    Shapes,
    exit_if,
    load_data,
    load_model,
    show,
    teller,
)


def squeeze(
    model: Model,
    data: Data = None,
    board: BoardName = DEFAULT_BOARD,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("out"),
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, such as 64KB.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, such as 32KB.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Estimated time allowed.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Accuracy it may lose (0.01).")] = None,
    recipe: RecipeName = "int8",
    optimize: Optimize = "balanced",
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """The whole job: int8, .tflite, C, emulated chip, comparison, accuracy, verdict, report."""
    from smidgen import squeeze as squeeze_model
    from smidgen import tables
    from smidgen.report.result import summary

    result = squeeze_model(
        load_model(model, shapes, fixed) if shapes or fixed else model,
        load_data(data),
        board,
        out=out,
        flash=tables.parse_bytes(flash),
        ram=tables.parse_bytes(ram),
        latency_ms=latency_ms,
        max_drop=max_drop,
        recipe=recipe,
        optimize=optimize,
        tell=teller(as_json),
    )
    show(as_json, summary(result), tables.squeeze(result))
    exit_if(not result.fits)


def report(
    results: Annotated[Path, typer.Argument(help="A smidgen.json, or the folder it is in.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    as_json: Json = False,
) -> None:
    """Draw the report of an earlier squeeze again."""
    from smidgen.report import read_record, write_report

    write_report(read_record(results), out)
    show(as_json, {"out": str(out)}, f"wrote {out}")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path(
        "out/demo"
    ),
    board: BoardName = "arduino-nano-33-ble",
    as_json: Json = False,
) -> None:
    """Train a small network on real digits, squeeze it and run it on an emulated chip."""
    from smidgen import tables
    from smidgen.demo import run_demo
    from smidgen.report.result import summary

    result = run_demo(out, board, teller(as_json))
    show(as_json, summary(result), tables.squeeze(result))
    exit_if(not result.fits)
