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


def test_quantized_by_onnxruntime_it_is_as_good_and_runs_as_on_tflm(
    shared: Path, tmp_path: Path
) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    (x, y), (train, _) = (_readers().cifar10(s, limit=250) for s in ("test", "train"))
    samples = iter([{"input_1": image[None].astype(np.float32)} for image in train[:100]])

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(samples, None)

    path, source = tmp_path / "int8.onnx", shared / "zoo" / "andes_resnet8.onnx"
    quantize_static(source, path, Samples(), per_channel=True, weight_type=QuantType.QInt8)
    graph, x = smidgen.load(path), x.astype(np.float32)
    floats = [n.op.name for n in graph.nodes if graph.type(n.outputs[0]).dtype == "float32"]
    assert floats == ["DEQUANTIZE"]
    oracle = session(path)
    want = np.array([oracle.run(None, {"input_1": image[None]})[0].argmax() for image in x])
    got = smidgen.run(graph, [x])[0].argmax(1)
    assert np.mean(got == want) > 0.96
    assert np.mean(got == y) > np.mean(want == y) - 0.01
    assert smidgen.verify(graph, smidgen.random_inputs(graph, 4)).ok


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
