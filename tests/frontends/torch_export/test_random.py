"""Random networks: whatever is drawn agrees with eager PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.Identity)


class Step(nn.Module):
    """A layer, an activation, and perhaps a shortcut, a skip or a gate around them."""

    def __init__(self, layer: nn.Module, activation: nn.Module, around: str) -> None:
        super().__init__()
        self.layer, self.activation, self.around = layer, activation, around

    def forward(self, x: Any) -> Any:
        y = self.activation(self.layer(x))
        same = y.shape == x.shape
        if self.around == "add" and same:
            return x + y
        if self.around == "concatenate" and y.shape[2:] == x.shape[2:]:
            return torch.cat([y, x], 1)
        if self.around == "gate" and same:
            return y * torch.sigmoid(x.mean((2, 3), keepdim=True))
        if self.around == "swap":
            return y.transpose(2, 3)
        if self.around == "crop" and min(y.shape[2:]) > 2:
            return y[:, :, 1:, :-1]
        return y


@st.composite
def convolutions(draw: st.DrawFn, channels: int) -> nn.Module:
    kind = draw(st.sampled_from(("plain", "plain", "depthwise", "grouped", "transposed")))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    bias = draw(st.booleans())
    if kind == "transposed":
        extra = tuple(draw(st.integers(0, s - 1)) for s in stride)
        pad = tuple(draw(st.integers(0, min(2, k - 1))) for k in kernel)
        outputs = draw(st.integers(1, 6))
        return nn.ConvTranspose2d(channels, outputs, kernel, stride, pad, extra, bias=bias)
    groups = {"depthwise": channels, "grouped": 2 if channels % 2 == 0 else 1}.get(kind, 1)
    outputs = groups * draw(st.integers(1, 3))
    dilation = draw(st.sampled_from((1, 1, 2)))
    if draw(st.booleans()):
        return nn.Conv2d(
            channels, outputs, kernel, padding="same", dilation=dilation, groups=groups, bias=bias
        )
    pad = tuple(draw(st.integers(0, 3)) for _ in kernel)
    return nn.Conv2d(channels, outputs, kernel, stride, pad, dilation, groups, bias)


@st.composite
def pools(draw: st.DrawFn, channels: int) -> nn.Module:
    kernel = draw(st.integers(1, 3))
    pad = draw(st.integers(0, kernel // 2))
    given: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": draw(st.integers(1, 3)),
        "padding": pad,
        "ceil_mode": draw(st.booleans()),
    }
    if draw(st.booleans()):
        return nn.MaxPool2d(**given)
    return nn.AvgPool2d(**given, count_include_pad=draw(st.booleans()))


@st.composite
def others(draw: st.DrawFn, channels: int) -> nn.Module:
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    pads = draw(st.tuples(*(st.integers(0, 2),) * 4))
    return draw(
        st.sampled_from(
            (
                nn.BatchNorm2d(channels),
                nn.GroupNorm(2 if channels % 2 == 0 else 1, channels),
                nn.InstanceNorm2d(channels, eps=1e-2),
                nn.PReLU(channels),
                nn.Softmax(1),
                nn.ZeroPad2d(pads),
                nn.ReplicationPad2d(pads),
                nn.Upsample(size, mode="nearest"),
                nn.Upsample(size, mode="bilinear", align_corners=draw(st.booleans())),
                nn.AdaptiveAvgPool2d(size),
                nn.AdaptiveMaxPool2d(size),
                nn.PixelShuffle(2) if channels % 4 == 0 else nn.Identity(),
                nn.ChannelShuffle(2 if channels % 2 == 0 else 1),
            )
        )
    )


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A network and the shape of its input."""
    torch.manual_seed(draw(st.integers(0, 99)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(5, 12)), draw(st.integers(5, 12)))
    x = torch.randn(1, *shape)
    steps: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        make = draw(st.sampled_from((convolutions, convolutions, pools, others)))
        layer = draw(make(x.shape[1]))
        around = st.sampled_from(("", "", "add", "concatenate", "gate", "swap", "crop"))
        step = Step(layer, draw(st.sampled_from(ACTIVATIONS))(), draw(around)).eval()
        try:
            with torch.no_grad():
                y = step(x)
        except (RuntimeError, ValueError):  # larger than the image, say
            continue
        if y.numel() and y.numel() < 20_000 and torch.isfinite(y).all():
            steps.append(step)
            x = y
    end = draw(st.sampled_from(("", "linear", "mean", "softmax")))
    if end == "linear":
        steps += [nn.Flatten(), nn.Linear(x[0].numel(), 3)]
    elif end == "mean":
        steps += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(x.shape[1], 3), nn.Softmax(1)]
    elif end == "softmax":
        steps.append(nn.LogSoftmax(1))
    return nn.Sequential(*steps, nn.Identity()), shape


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # about its own speed
@given(networks())
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_random_network(drawn: tuple[nn.Module, tuple[int, ...]]) -> None:
    module, shape = drawn
    agree(module, shape)


def test_the_oracle_notices_a_difference() -> None:
    """A module that is not what was loaded is told from it."""
    import smidgen
    from tests.frontends.torch_export.oracle import compare, draw, prepared

    graph = smidgen.load(prepared(nn.Conv2d(3, 4, 3)), example=draw([(3, 8, 8)]))
    with pytest.raises(AssertionError):
        compare(graph, prepared(nn.Conv2d(3, 4, 3)), draw([(3, 8, 8)]))
