"""Real ONNX models of others against onnxruntime, on random inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import smidgen
from tests.frontends.onnx.oracle import worst_difference

pytestmark = pytest.mark.onnx

GIVEN: dict[str, dict[str, Any]] = {
    "silero_vad_16k_op15.onnx": {
        "fixed": {"sr": 16000},
        "shapes": {"input": (1, 512), "state": (2, 1, 128)},
    }
}
MODELS = (
    "alibaba_open_ad.onnx",
    "alibaba_open_vww.onnx",
    "andes_resnet8.onnx",
    "andes_rnnoise.onnx",
    "onnxzoo_mnist.onnx",
    "silero_vad_16k_op15.onnx",
    "st_mobilenet_v2_0.5_128.onnx",
    "ultraface_slim_320.onnx",
    "yunet_n_320.onnx",
)


@pytest.mark.parametrize("name", MODELS)
def test_it_agrees_with_onnxruntime(shared: Path, name: str) -> None:
    path = shared / "zoo" / name
    given = GIVEN.get(name, {})
    graph = smidgen.load(path, **given)
    assert "TRANSPOSE" not in {n.op.name for n in graph.nodes}
    count = 20 if path.stat().st_size < 1 << 19 else 5
    assert worst_difference(graph, path, count=count, **given) < 1e-4
