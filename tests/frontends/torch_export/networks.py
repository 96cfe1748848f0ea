"""Networks as people write them in PyTorch, small inputs and few channels, random weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, as torchvision's BasicBlock."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """The stem with its padded pool, stages, global mean, classifier."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 24)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        blocks: list[nn.Module] = []
        for i, width in enumerate(widths):
            blocks += [
                Residual(widths[max(0, i - 1)], width, 2 if i else 1),
                Residual(width, width),
            ]
        self.layers = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1], 10)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layers(x))
        return self.fc(torch.flatten(x, 1))


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU6,
) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation() if activation is nn.Sigmoid else activation(inplace=True))
    return nn.Sequential(*layers)


class Squeeze(nn.Module):
    """Squeeze and excite: a gate for each channel."""

    def __init__(self, channels: int, gate: type[nn.Module] = nn.Hardsigmoid) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 4, 1)
        self.fc2 = nn.Conv2d(channels // 4, channels, 1)
        self.gate = gate()

    def forward(self, x: Any) -> Any:
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.fc2(F.relu(self.fc1(scale), inplace=True)))


class Inverted(nn.Module):
    """Expand, depthwise, squeeze and excite perhaps, project; a shortcut where shapes allow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expand: int = 4,
        kernel: int = 3,
        activation: type[nn.Module] = nn.ReLU6,
        squeeze: bool = False,
    ) -> None:
        super().__init__()
        hidden = inputs * expand
        layers: list[nn.Module] = []
        if expand > 1:
            layers.append(conv_bn(inputs, hidden, 1, activation=activation))
        layers.append(conv_bn(hidden, hidden, kernel, stride, hidden, activation))
        if squeeze:
            layers.append(Squeeze(hidden))
        layers.append(conv_bn(hidden, outputs, 1, activation=None))
        self.block = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.block(x) if self.shortcut else self.block(x)


class Mobile(nn.Module):
    """A stem, inverted bottlenecks, a head."""

    def __init__(
        self,
        blocks: list[Inverted],
        stem: int,
        head: int,
        activation: type[nn.Module] = nn.ReLU6,
    ) -> None:
        super().__init__()
        last = next(m for m in reversed(list(blocks[-1].modules())) if isinstance(m, nn.Conv2d))
        self.features = nn.Sequential(
            conv_bn(3, stem, stride=2, activation=activation),
            *blocks,
            conv_bn(last.out_channels, head, 1, activation=activation),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, 10))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean([2, 3]))


def mobilenet_v2() -> nn.Module:
    blocks = [Inverted(8, 8, 1, 1), Inverted(8, 12, 2), Inverted(12, 12, 1), Inverted(12, 16, 2)]
    return Mobile(blocks, 8, 32)


def mobilenet_v3() -> nn.Module:
    blocks = [
        Inverted(8, 8, 2, 1, activation=nn.ReLU, squeeze=True),
        Inverted(8, 12, 2, 4, 5, nn.Hardswish, squeeze=True),
        Inverted(12, 12, 1, 3, 5, nn.Hardswish, squeeze=True),
    ]
    return Mobile(blocks, 8, 32, nn.Hardswish)


def efficientnet_lite() -> nn.Module:
    return Mobile(
        [Inverted(8, 8, 1, 1), Inverted(8, 12, 2, 6, 5), Inverted(12, 12, 1, 6, 5)], 8, 24
    )


def mnasnet() -> nn.Module:
    blocks = [Inverted(8, 8, 2, 3, 3, nn.ReLU), Inverted(8, 8, 1, 3, 5, nn.ReLU)]
    return Mobile(blocks, 8, 24, nn.ReLU)


def efficientnet() -> nn.Module:
    """With SiLU, as the first generation."""
    blocks = [
        Inverted(8, 8, 1, 1, activation=nn.SiLU, squeeze=True),
        Inverted(8, 12, 2, 6, 5, nn.SiLU),
    ]
    return Mobile(blocks, 8, 24, nn.SiLU)


class Fire(nn.Module):
    """Squeeze to few channels, expand by two kernels, side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.squeeze(x), inplace=True)
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(16, 4, 8),
            Fire(16, 4, 8),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(16, 6, 12),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(24, 10, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: Any) -> Any:
        return torch.flatten(self.classifier(self.features(x)), 1)


class ShuffleUnit(nn.Module):
    """ShuffleNet v2: half of the channels pass, then all are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_bn(half, half, 1, activation=nn.ReLU),
            conv_bn(half, half, 3, groups=half, activation=None),
            conv_bn(half, half, 1, activation=nn.ReLU),
        )

    def forward(self, x: Any) -> Any:
        a, b = x.chunk(2, dim=1)
        y = torch.cat((a, self.branch(b)), dim=1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def shufflenet() -> nn.Module:
    return nn.Sequential(
        conv_bn(3, 8, 3, 2, activation=nn.ReLU),
        ShuffleUnit(8),
        ShuffleUnit(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


class UNet(nn.Module):
    """Down, up by transposed convolutions, skips concatenated."""

    def __init__(self, learned: bool = True) -> None:
        super().__init__()
        self.down1, self.down2 = self._double(3, 8), self._double(8, 12)
        self.bottom = self._double(12, 16)
        if learned:
            self.up2: nn.Module = nn.ConvTranspose2d(16, 12, 2, 2)
            self.up1: nn.Module = nn.ConvTranspose2d(12, 8, 2, 2)
        else:
            self.up2 = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(16, 12, 1)
            )
            self.up1 = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(12, 8, 1)
            )
        self.dec2, self.dec1 = self._double(24, 12), self._double(16, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def _double(self, inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            conv_bn(inputs, outputs, activation=nn.ReLU),
            conv_bn(outputs, outputs, activation=nn.ReLU),
        )

    def forward(self, x: Any) -> Any:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.dec2(torch.cat([self.up2(c), b], 1))
        a = self.dec1(torch.cat([self.up1(b), a], 1))
        return torch.softmax(self.out(a), 1)


class CRNN(nn.Module):
    """A line of text: convolutions, a recurrent layer over the columns, scores for each."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(True),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(True),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
        )
        self.rnn = nn.LSTM(48, 6, bidirectional=True)
        self.fc = nn.Linear(12, 11)

    def forward(self, x: Any) -> Any:
        features = self.cnn(x)
        n, c, h, w = features.size()
        sequence = features.reshape(n, c * h, w).permute(2, 0, 1)  # time, batch, features
        output, _ = self.rnn(sequence)
        return F.log_softmax(self.fc(output), 2).transpose(0, 1)


class ViT(nn.Module):
    """Patches, a class token, positions, encoder layers, a head."""

    def __init__(self, width: int = 16, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 32, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.encoder(x))[:, 0])


class KeywordNet(nn.Module):
    """DS-CNN for keyword spotting, on (1, time, mel)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 16, 3, 2, activation=nn.ReLU)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    conv_bn(16, 16, 3, groups=16, activation=nn.ReLU),
                    conv_bn(16, 16, 1, activation=nn.ReLU),
                )
                for _ in range(2)
            )
        )
        self.pool = nn.AvgPool2d((10, 5))
        self.fc = nn.Linear(64, 12)

    def forward(self, x: Any) -> Any:
        return self.fc(self.pool(self.blocks(self.stem(x))).view(x.size(0), -1))


class TemporalNet(nn.Module):
    """One-dimensional convolutions with dilation over a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(6 if i == 0 else 8, 8, 3, padding=2**i, dilation=2**i),
                nn.BatchNorm1d(8),
                nn.ReLU(),
            )
            for i in range(3)
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4))

    def forward(self, x: Any) -> Any:
        for i, layer in enumerate(self.layers):
            x = layer(x) + x if i else layer(x)
        return self.head(x)


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "ResNet": (ResNet, (3, 64, 64)),
    "MobileNetV2": (mobilenet_v2, (3, 32, 32)),
    "MobileNetV3": (mobilenet_v3, (3, 32, 32)),
    "EfficientNet": (efficientnet, (3, 32, 32)),
    "EfficientNet-lite": (efficientnet_lite, (3, 32, 32)),
    "MNASNet": (mnasnet, (3, 32, 32)),
    "SqueezeNet": (SqueezeNet, (3, 64, 64)),
    "ShuffleNet": (shufflenet, (3, 32, 32)),
    "U-Net": (UNet, (3, 32, 32)),
    "U-Net resized": (lambda: UNet(learned=False), (3, 32, 32)),
    "CRNN": (CRNN, (1, 16, 20)),
    "ViT": (ViT, (3, 32, 32)),
    "DS-CNN": (KeywordNet, (1, 40, 20)),
    "TCN": (TemporalNet, (6, 32)),
}
