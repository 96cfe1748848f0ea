"""The whole job, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from smidgen.cli._training import (
    Cache,
    Channels,
    Checkpoint,
    Importance,
    Pattern,
    Rounds,
    Scope,
    Target,
    Teacher,
    Threads,
    Watch,
    Weights,
    beside,
    check_unused,
    get_teacher,
    with_settings,
)


@with_settings
def squeeze(
    model: Model,
    settings: dict[str, Any],
    data: Data = None,
    board: BoardName = DEFAULT_BOARD,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("out"),
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, such as 64KB.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, such as 32KB.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Estimated time allowed.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Accuracy it may lose (0.01).")] = None,
    recipe: RecipeName = "int8",
    optimize: Optimize = "balanced",
    channels: Channels = None,
    target: Target = "macs",
    weights: Weights = None,
    pattern: Pattern = None,
    importance: Importance = "auto",
    scope: Scope = "lamp",
    rounds: Rounds = 1,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Train further, without pruning.")
    ] = False,
    qat: Annotated[
        bool, typer.Option("--qat", help="Train in the integers that the device computes with.")
    ] = False,
    qat_epochs: Annotated[float, typer.Option(help="Passes of that, after all else.")] = 2.0,
    qat_learning_rate: Annotated[float, typer.Option(help="The highest one of that.")] = 1e-4,
    teacher: Teacher = None,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    threads: Threads = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """The whole job: int8, .tflite, C, emulated chip, comparison, accuracy, verdict, report.

    With --channels, --weights, --pattern, --teacher, --finetune or --qat it prunes and trains
    first, and goes on where it was if it is interrupted there.
    """
    from smidgen import squeeze as squeeze_model
    from smidgen import tables
    from smidgen.report.result import summary

    path = checkpoint or beside(out)
    kept: list[Path] = []
    steps: dict[str, Any] = {
        "channels": channels, "weights": weights, "pattern": pattern,
        "finetune": finetune or None, "teacher": teacher, "qat": qat or None,
    }  # fmt: skip
    if training := {name: value for name, value in steps.items() if value is not None}:
        from smidgen.training.steps import checkpoints_of

        kept = checkpoints_of(path, rounds)
        training |= {
            "target": target, "importance": importance, "scope": scope, "rounds": rounds,
            "qat_epochs": qat_epochs, "qat_learning_rate": qat_learning_rate,
            "cache": cache, "checkpoint": path, "threads": threads, **settings,
        }  # fmt: skip
    else:
        check_unused(settings, "--channels, --weights, --pattern, --teacher, --finetune", "--qat")
    with Watch(as_json, kept, checkpoint is not None) as watch:
        if training:
            training |= {"progress": watch.step, "answered": watch.answered}
            training["teacher"] = get_teacher(teacher)
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
            tell=watch.tell,
            **training,
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
