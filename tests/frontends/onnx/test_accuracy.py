"""What ONNX models of others achieve on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from benchmarks._tasks import _readers
from tests.frontends.onnx.oracle import session

pytestmark = [pytest.mark.onnx, pytest.mark.e2e]

COUNT = 2000


def accuracy(graph: smidgen.Graph, x: Any, y: Any) -> float:
    return smidgen.evaluate(graph, smidgen.Dataset(x[:1], y[:1], x, y)).value


def test_resnet8_keeps_its_accuracy(shared: Path) -> None:
    x, y = _readers().cifar10("test", limit=COUNT)
    graph = smidgen.load(shared / "zoo" / "andes_resnet8.onnx")
    assert accuracy(graph, x.astype(np.float32), y) == pytest.approx(0.8790, abs=0.01)


def test_mnist_keeps_its_accuracy(shared: Path) -> None:
    with np.load(shared / "data" / "mnist" / "mnist_test.npz") as data:
        x, y = data["x"][:COUNT, None].astype(np.float32), data["y"][:COUNT]
    graph = smidgen.load(shared / "zoo" / "onnxzoo_mnist.onnx")
    assert accuracy(graph, x, y) == pytest.approx(0.9891, abs=0.01)


def test_person_detection_decides_as_onnxruntime_does(shared: Path) -> None:
    path = shared / "zoo" / "alibaba_open_vww.onnx"
    with np.load(shared / "data" / "vww" / "vww96_coco_open.npz") as data:
        x = data["x"].astype(np.float32) / 255
    graph, oracle = smidgen.load(path), session(path)
    (got,) = smidgen.run(graph, [x])  # channels last, as the graph takes them
    feeds = [{"actual_input_1": image.transpose(2, 0, 1)[None]} for image in x]
    want = np.concatenate([oracle.run(None, feed)[0] for feed in feeds])
    assert np.array_equal(got.argmax(1), want.argmax(1))
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
