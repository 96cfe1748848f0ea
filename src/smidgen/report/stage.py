"""Stages of a squeeze: what each took, and what the model costs on the device after it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smidgen.backends.c.compile import compile as compile_firmware
from smidgen.backends.tflite.writer import write as write_tflite
from smidgen.data import Dataset
from smidgen.evaluate import Score, evaluate
from smidgen.facts import describe
from smidgen.frontends.tflite import read
from smidgen.ir import Graph
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.transforms.quantize import Recipe, quantize
from smidgen.transforms.rewrites import shrink

if TYPE_CHECKING:
    from smidgen.backends.c.firmware import Firmware
    from smidgen.targets.board import Board


@dataclass(frozen=True)
class Stage:
    """What a model is worth, and costs, after one step of a squeeze.

    Args:
        name: of the step.
        seconds: it took; of an interrupted step those since it went on.
        score: of the integer model on all test samples; None without any.
        macs: multiply-accumulates of one inference.
        parameters: elements of all constants.
        sparsity: part of the weights in the `.tflite` that are zero.
        tflite_bytes: of the `.tflite`.
        gzip_bytes: of the same compressed, which is what an update over the air takes.
        flash_bytes, ram_bytes: of the linked program on the board; None without a board.
    """

    name: str
    seconds: float
    score: Score | None
    macs: int
    parameters: int
    sparsity: float
    tflite_bytes: int
    gzip_bytes: int
    flash_bytes: int | None
    ram_bytes: int | None


def measure_stage(
    name: str,
    graph: Graph,
    data: Dataset | None,
    board: str | Board | None = None,
    *,
    recipe: str | Recipe = "int8",
    optimize: str = "balanced",
    seconds: float = 0.0,
) -> Stage:
    """Measure a graph as the integer model that it becomes.

    Args:
        name: of the stage.
        graph: a float graph, which is quantized after training on `data.x`, or an integer one.
        data: what calibrates, and the test samples to score.
        board: to link for; None measures no firmware.
        recipe: how to quantize.
        optimize: of the C.
        seconds: that it took to make the graph.

    Example:
        >>> stage = measure_stage("as it came", model, data)
        >>> stage.gzip_bytes < stage.tflite_bytes
        True
    """
    if not graph.is_quantized:
        assert data is not None, "a float graph needs samples"
        graph = quantize(graph, data, recipe)
    small, _ = shrink(graph)
    firmware = None if board is None else compile_firmware(small, board, optimize=optimize)
    score = None if data is None or data.x_test is None else evaluate(small, data)
    return stage_of(name, small, write_tflite(small, compact=True), firmware, score, seconds)


def stage_of(
    name: str,
    graph: Graph,
    tflite: bytes,
    firmware: Firmware | None,
    score: Score | None,
    seconds: float,
) -> Stage:
    """The stage of an integer graph that is written and linked already."""
    facts = describe(graph)
    return Stage(
        name,
        seconds,
        score,
        facts.macs,
        facts.parameters,
        sparsity_of(read(tflite)),
        len(tflite),
        len(gzip.compress(tflite, 9, mtime=0)),
        None if firmware is None else firmware.flash_bytes,
        None if firmware is None else firmware.ram_bytes,
    )
