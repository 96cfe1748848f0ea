"""Networks whose weights others have trained and published, as modules of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class FaceBlock(nn.Module):
    """Depthwise, pointwise, and a shortcut with zeros for channels that it lacks."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.missing = stride, outputs - inputs
        pad = 1 if stride == 1 else 0
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, pad, groups=inputs), nn.Conv2d(inputs, outputs, 1)
        )

    def forward(self, x: Any) -> Any:
        shortcut = x if self.stride == 1 else F.max_pool2d(x, 2)
        given = x if self.stride == 1 else F.pad(x, (0, 2, 0, 2))
        return F.relu(self.convs(given) + F.pad(shortcut, (0, 0, 0, 0, 0, self.missing)))


class BlazeFace(nn.Module):
    """MediaPipe's face detector for selfies (Bazarevsky et al., 2019), without the decoding.

    Modules carry the names of hollance/BlazeFace-PyTorch, whose weights these are.
    """

    FIRST = ((24, 24), (24, 28), (28, 32, 2), (32, 36), (36, 42), (42, 48, 2), (48, 56))
    LAST = ((56, 64), (64, 72), (72, 80), (80, 88))

    def __init__(self) -> None:
        super().__init__()
        self.backbone1 = nn.Sequential(
            nn.Conv2d(3, 24, 5, 2), nn.ReLU(), *(FaceBlock(*b) for b in self.FIRST + self.LAST)
        )
        self.backbone2 = nn.Sequential(FaceBlock(88, 96, 2), *(FaceBlock(96, 96) for _ in range(4)))
        self.classifier_8, self.classifier_16 = nn.Conv2d(88, 2, 1), nn.Conv2d(96, 6, 1)
        self.regressor_8, self.regressor_16 = nn.Conv2d(88, 32, 1), nn.Conv2d(96, 96, 1)

    def forward(self, x: Any) -> Any:
        fine = self.backbone1(F.pad(x, (1, 2, 1, 2)))
        coarse = self.backbone2(fine)

        def rows(y: Any, width: int) -> Any:
            return y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, width)

        boxes = [rows(self.regressor_8(fine), 16), rows(self.regressor_16(coarse), 16)]
        scores = [rows(self.classifier_8(fine), 1), rows(self.classifier_16(coarse), 1)]
        return torch.cat(boxes, 1), torch.cat(scores, 1)


class CifarBlock(nn.Module):
    """Two 3x3 convolutions; the shortcut drops every other pixel and pads channels with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    """ResNet for CIFAR-10 (He et al., 2015, section 4.2), named as akamaster's weights are."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks)
        self.layer2 = self._stage(16, 32, blocks)
        self.layer3 = self._stage(32, 64, blocks)
        self.linear = nn.Linear(64, 10)

    def _stage(self, inputs: int, outputs: int, blocks: int) -> nn.Sequential:
        first = CifarBlock(inputs, outputs, outputs // inputs)
        return nn.Sequential(first, *(CifarBlock(outputs, outputs, 1) for _ in range(blocks - 1)))

    def forward(self, x: Any) -> Any:
        y = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(y, y.size(3)).view(y.size(0), -1))


def published(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The module that belongs to a file of weights, with them in it, and its input's shape."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if path.name == "blazeface_front.pth":
        module: nn.Module = BlazeFace()
        module.load_state_dict(state)
        return module.eval(), (3, 128, 128)
    module = CifarResNet({"resnet20-12fca82f.th": 3, "resnet56-4bfd9763.th": 9}[path.name])
    weights = {name.removeprefix("module."): w for name, w in state["state_dict"].items()}
    module.load_state_dict(weights)
    return module.eval(), (3, 32, 32)
