"""The whole main job: a trained model in, proven firmware and a verdict out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.backends.c.compile import DEFAULT_BOARD
from smidgen.backends.c.compile import compile as compile_firmware
from smidgen.backends.c.firmware import Firmware
from smidgen.backends.c.run import Run
from smidgen.backends.tflite.writer import write as write_tflite
from smidgen.data import Dataset, to_inputs
from smidgen.errors import RecipeError, SmidgenError
from smidgen.evaluate import Score, evaluate
from smidgen.facts import describe
from smidgen.files import new_folder
from smidgen.frontends import load
from smidgen.interpreter import random_inputs
from smidgen.ir import Graph
from smidgen.report.result import Limit, Squeezed
from smidgen.report.stage import Stage, measure_stage, stage_of
from smidgen.transforms.quantize import LayerError, Recipe, layer_errors, prepare, quantize
from smidgen.transforms.rewrites import shrink
from smidgen.verify import verify

if TYPE_CHECKING:
    from smidgen.targets.board import Board
    from smidgen.training.steps import Step

# Called with a line about what is going on now.
Tell = Callable[[str], None]

# Samples that are compared across runtimes, and samples in the per-layer error report.
VERIFY_SAMPLES = 8
ERROR_SAMPLES = 64


def squeeze(
    model: Any,
    data: Dataset | None = None,
    board: str | Board = DEFAULT_BOARD,
    *,
    out: str | Path | None = None,
    flash: int | None = None,
    ram: int | None = None,
    latency_ms: float | None = None,
    max_drop: float | None = None,
    recipe: str | Recipe = "int8",
    optimize: str = "balanced",
    name: str | None = None,
    tell: Tell | None = None,
    **training: Any,
) -> Squeezed:
    """Squeeze a model for a board and prove that it still works.

    Pruning and training, if they are asked for; rewrites, int8 quantization, exact shrinking,
    `.tflite`, C, linked firmware, emulation, comparison with other runtimes, accuracy before and
    after on all test samples.

    Args:
        model: a path, a live Keras model or a Graph; float, or int8 already.
        data: samples; needed for a float model. Only its training part calibrates.
        board: name, `.toml` or Board.
        out: folder for `model.tflite`, `firmware/`, `report.html` and `smidgen.json`; written
            whole or not at all. None writes nothing.
        flash: bytes of flash to fit into; the board's by default.
        ram: bytes of RAM to fit into; the board's by default.
        latency_ms: estimated milliseconds of one inference at the board's clock.
        max_drop: how much accuracy (0.01 = one point) may be lost.
        recipe: how to quantize.
        optimize: "speed", "balanced" or "flash".
        name: prefix of the C functions.
        tell: called with each step as it begins.
        **training: what `smidgen.prune` and `smidgen.finetune` take: `channels=0.5`,
            `weights=0.8`, `teacher=...`, `finetune=True`, settings such as `epochs=5`; and
            `qat=True` with `qat_epochs` and `qat_learning_rate`. What the model is worth before
            and after each step is in `stages`.

    Returns:
        All results; `.fits` is the verdict.

    Raises:
        RecipeError: if a float model comes without data, or a limit cannot be measured.
        SmidgenError: if `out` holds something else than earlier results.

    Example:
        >>> best = squeeze("model.keras", data, "nucleo-l4r5zi", out="out/")
        >>> print(best.verdict)
        Fits ST NUCLEO-L4R5ZI: flash ... B to spare; RAM ... B to spare
    """
    start = time.monotonic()
    say = tell or (lambda line: None)
    if out is not None:
        _check_out(Path(out))
    if max_drop is not None and (data is None or data.x_test is None):
        raise RecipeError("max_drop without test samples", hint="add x_test and y_test to the data")
    say("load")
    source = load(model)
    if name:
        source = source.renamed(name)
    original = describe(source)
    before = after = None
    errors: tuple[LayerError, ...] = ()
    steps = _plan(data, recipe, training) if training else []
    stages: list[Stage] = []
    stage, graph, seconds = "as it came", source, 0.0
    for step in steps:
        say(f"measure {stage}")
        stages.append(
            measure_stage(
                stage, graph, data, board, recipe=recipe, optimize=optimize, seconds=seconds
            )
        )
        say(f"train: {step.name}")
        begun = time.monotonic()
        stage, graph = step.name, step.run(graph)
        seconds = time.monotonic() - begun
    if graph.is_quantized:
        integer = graph
    else:
        if data is None:
            raise RecipeError(
                "a float model needs samples to be quantized", hint="give a Dataset (--data)"
            )
        say("quantize to int8")
        integer = quantize(graph, data, recipe)
        chosen = to_inputs(graph, [array[:ERROR_SAMPLES] for array in data.inputs])
        errors = tuple(layer_errors(prepare(graph), integer, chosen))
    say("shrink exactly")
    small, _ = shrink(integer)
    say("compile and link")
    firmware = compile_firmware(small, board, optimize=optimize, flash=flash, ram=ram)
    tflite = write_tflite(small, compact=True)
    say("run in the emulator")
    inputs = _samples(small, data)
    run = firmware.run([a[:1] for a in inputs], on="emulator", profile=True)
    say("compare with other runtimes")
    verification = verify(small, inputs, firmware=firmware, tflite=tflite)
    if data is not None and data.x_test is not None:
        say("measure before and after")
        before, after = evaluate(source, data), evaluate(small, data)
    stages.append(stage_of(stage, small, tflite, firmware, after, seconds))
    limits = _limits(firmware, run, before, after, latency_ms, max_drop)
    result = Squeezed(
        original, small, describe(small), firmware, run, before, after, verification, errors,
        limits, _file_bytes(model), len(tflite), tuple(stages),
        Path(out) if out is not None else None, time.monotonic() - start,
    )  # fmt: skip
    if out is not None:
        say("write the results")
        _write(result, tflite, Path(out), graph)
    return result


def _plan(data: Dataset | None, recipe: str | Recipe, training: dict[str, Any]) -> list[Step]:
    from smidgen.training.steps import plan

    return plan(data, recipe=recipe, **training)


def _file_bytes(model: Any) -> int | None:
    """Size of the file that a model comes from, if it is one."""
    is_file = isinstance(model, str | Path) and Path(model).is_file()
    return Path(model).stat().st_size if is_file else None


def _samples(graph: Graph, data: Dataset | None) -> list[np.ndarray[Any, Any]]:
    """Inputs to compare runtimes on: extreme and random ones, and real ones if there are any."""
    arrays = random_inputs(graph, VERIFY_SAMPLES)
    if data is not None:
        real = to_inputs(graph, [array[: VERIFY_SAMPLES // 2] for array in data.inputs])
        for array, some in zip(arrays, real, strict=True):
            array[-len(some) :] = some
    return arrays


def _limits(
    firmware: Firmware,
    run: Run,
    before: Score | None,
    after: Score | None,
    latency_ms: float | None,
    max_drop: float | None,
) -> tuple[Limit, ...]:
    board = firmware.board
    limits = [
        Limit("flash", firmware.limits["flash"], firmware.flash_bytes, "B"),
        Limit("ram", firmware.limits["ram"], firmware.ram_bytes, "B"),
    ]
    if latency_ms is not None:
        if run.cycles is None:
            raise RecipeError(
                f"no estimate of cycles for {board.core}", hint="leave latency_ms out"
            )
        limits.append(Limit("latency", latency_ms, board.milliseconds(run.cycles), "ms"))
    if max_drop is not None and before is not None and after is not None:
        if not before.higher_is_better:
            raise RecipeError(
                "max_drop is for accuracy; this model is measured by its error",
                hint="leave max_drop out",
            )
        limits.append(Limit("accuracy", before.value - max_drop, after.value, ""))
    return tuple(limits)


def _check_out(out: Path) -> None:
    """Refuse early what `_write` could not replace."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _ours(out))):
        raise SmidgenError(
            "exists and holds something else than earlier results",
            where=str(out),
            hint="choose an empty or new folder",
        )


def _ours(out: Path) -> bool:
    return (out / "smidgen.json").is_file()


def _write(result: Squeezed, tflite: bytes, out: Path, source: Graph) -> None:
    from smidgen.backends.c.project import write_project
    from smidgen.report import build_record, write_report

    with new_folder(out) as folder:
        (folder / "model.tflite").write_bytes(tflite)
        write_project(result.firmware.source, folder / "firmware")
        record = build_record(result, source)
        (folder / "smidgen.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        write_report(record, folder / "report.html")
