"""Architectures of Keras Applications; `python -m benchmarks keras_applications` does them all."""

from __future__ import annotations

import pytest

from benchmarks.keras_applications import measure

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_an_architecture_agrees_with_keras_and_is_quantized(name: str) -> None:
    result = measure(name)  # raises if the float graph does not agree
    assert result.file_bytes < 1.2 * result.parameters
    assert result.snr > 3
