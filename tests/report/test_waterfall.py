"""Stages: measured on what is written, and drawn to scale."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest

from smidgen import Dataset, describe, evaluate, quantize, shrink, write_tflite
from smidgen.report import measure_stage
from smidgen.report.waterfall import waterfall
from smidgen.transforms.prune.weights import apply_masks, masks
from tests.transforms.quantize.networks import classifier, images

STAGE = {
    "name": "one", "seconds": 0.0, "macs": 1000, "parameters": 80, "sparsity": 0.0,
    "tflite_bytes": 400, "gzip_bytes": 200, "flash_bytes": 900, "ram_bytes": 90,
    "score": {"metric": "accuracy", "value": 0.875, "samples": 40},
}  # fmt: skip


def heights(svg: str, css: str) -> list[float]:
    return [float(h) for h in re.findall(rf'height="([\d.]+)" class="{css}"', svg)]


def test_bars_are_to_scale_and_boxes_are_what_went() -> None:
    panels = dict(waterfall([STAGE, {**STAGE, "macs": 500}, {**STAGE, "macs": 250}]))
    bars, boxes = (heights(panels["multiply-accumulates"], css) for css in ("a", "room"))
    assert bars == pytest.approx([bars[0], bars[0] / 2, bars[0] / 4], abs=0.06)
    assert boxes == pytest.approx([bars[0] / 2, bars[0] / 4], abs=0.06)
    assert "1: 100 %, 2: 50 %, 3: 25 %" in panels["multiply-accumulates"]
    assert not heights(panels["RAM"], "room")


def test_what_grows_stays_inside() -> None:
    panels = dict(waterfall([STAGE, {**STAGE, "flash_bytes": 1800}]))
    small, large = heights(panels["flash"], "b")
    assert large == pytest.approx(2 * small, abs=0.06)
    assert large == max(heights(panels["RAM"], "b"))


def test_scores_are_shown_on_their_own_scale() -> None:
    better = {**STAGE, "score": {**STAGE["score"], "value": 0.9}}
    panels = dict(waterfall([STAGE, better]))
    assert "accuracy, %" in panels
    ys = [float(y) for y in re.findall(r'cy="([\d.]+)"', panels["accuracy, %"])]
    assert ys[1] < ys[0]
    assert ">87.50<" in panels["accuracy, %"] and ">90.00<" in panels["accuracy, %"]


def test_figures_that_nobody_measured_are_left_out() -> None:
    bare = {**STAGE, "score": None, "flash_bytes": None, "ram_bytes": None}
    assert [title for title, _ in waterfall([bare, bare])] == [
        "multiply-accumulates", "parameters", ".tflite", ".tflite, compressed",
    ]  # fmt: skip


def test_a_stage_is_measured_on_the_integer_model_that_is_written() -> None:
    x = images(60)
    data = Dataset(x, None, x, np.arange(60) % 5)
    graph = apply_masks(classifier(), masks(classifier(), 0.75, scope="layer"))
    stage = measure_stage("sparse", graph, data, seconds=3.0)
    small, _ = shrink(quantize(graph, data))
    file = write_tflite(small, compact=True)
    assert (stage.name, stage.seconds) == ("sparse", 3.0)
    assert stage.score == evaluate(small, data)
    assert (stage.macs, stage.parameters) == (describe(small).macs, describe(small).parameters)
    assert stage.tflite_bytes == len(file) > stage.gzip_bytes
    assert gzip.decompress(gzip.compress(file, 9, mtime=0)) == file
    assert stage.gzip_bytes == len(gzip.compress(file, 9, mtime=0))
    assert stage.sparsity >= 0.74
    assert stage.flash_bytes is stage.ram_bytes is None
    dense = measure_stage("dense", classifier(), data)
    assert dense.sparsity < 0.2 and dense.gzip_bytes > stage.gzip_bytes


@pytest.mark.toolchain
def test_a_board_adds_what_is_linked() -> None:
    x = images(60)
    stage = measure_stage("plain", classifier(), Dataset(x), "nucleo-l4r5zi")
    assert stage.score is None
    assert stage.flash_bytes is not None and stage.flash_bytes > stage.parameters
    assert stage.ram_bytes is not None and stage.ram_bytes > 0
