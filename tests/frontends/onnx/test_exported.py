"""Networks as PyTorch exports them, with the nodes that compute shapes, against onnxruntime."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

import smidgen
from tests.frontends.onnx.oracle import worst_difference

pytestmark = [
    pytest.mark.onnx,
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),  # of the exporter, about itself
]


def mobile(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Depthwise layers, h-swish, squeeze and excitation, interpolation, pixel shuffle."""

    class Squeeze(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.to_gate = nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1)

        def forward(self, x: Any) -> Any:
            return x * nn.functional.hardsigmoid(self.to_gate(self.mean(x)))

    layers = [
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(),
        nn.Conv2d(16, 16, 5, 2, 2, groups=16),
        Squeeze(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.PixelShuffle(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.Softmax(1),
    ]
    return nn.Sequential(*layers), (1, 3, 32, 32)


def transformer(nn: Any) -> tuple[Any, tuple[int, ...]]:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
    return nn.Sequential(layer, nn.Linear(16, 4)), (1, 6, 16)


def u_net(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """An image made smaller, larger again and put beside what it was."""

    class UNet(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
            self.pool, self.up = nn.MaxPool2d(2), nn.ConvTranspose2d(16, 8, 2, 2)
            self.out = nn.Conv2d(16, 2, 1)

        def forward(self, x: Any) -> Any:
            import torch

            wide = torch.relu(self.down(x))
            deep = torch.relu(self.inner(self.pool(wide)))
            return self.out(torch.cat([wide, self.up(deep)], 1)).softmax(1)

    return UNet(), (1, 3, 16, 16)


def recurrent(nn: Any) -> tuple[Any, tuple[int, ...]]:
    class Recurrent(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True, bidirectional=True)
            self.lstm = nn.LSTM(12, 8, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.lstm(self.gru(x)[0])[0][:, -1]

    return Recurrent(), (1, 7, 5)


def sequences(nn: Any) -> tuple[Any, tuple[int, ...]]:
    layers = [
        nn.ConstantPad1d((4, 0), 0.0),
        nn.Conv1d(6, 8, 3, dilation=2),
        nn.GroupNorm(2, 8),
        nn.PReLU(8),
        nn.Conv1d(8, 8, 3, groups=4),
        nn.InstanceNorm1d(8, affine=True),
        nn.ELU(),
        nn.AvgPool1d(2),
        nn.LayerNorm(11),
    ]
    return nn.Sequential(*layers), (1, 6, 24)


def shuffled(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Channels that are shuffled by their shape, choices, slices and extremes."""

    class Shuffled(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            import torch

            batch, channels, height, width = x.shape
            y = x.view(batch, 2, channels // 2, height, width).transpose(1, 2)
            a, b = y.reshape(batch, channels, height, width).chunk(2, 1)
            chosen = torch.where(a > 0, a, b.clamp(-1, 1)).flatten(1)[:, ::3]
            return chosen, y.amax((3, 4))

    return Shuffled(), (1, 4, 6, 6)


@pytest.mark.parametrize("network", [mobile, transformer, u_net, recurrent, sequences, shuffled])
def test_an_exported_network_agrees(network: Callable[[Any], tuple[Any, tuple[int, ...]]]) -> None:
    import onnx
    import torch

    torch.manual_seed(0)
    module, shape = network(torch.nn)
    file = io.BytesIO()
    module.eval()
    torch.onnx.export(module, torch.randn(shape), file, dynamo=False, opset_version=17)
    model = onnx.load_from_string(file.getvalue())
    graph = smidgen.load(model)
    assert worst_difference(graph, model) < 1e-5
