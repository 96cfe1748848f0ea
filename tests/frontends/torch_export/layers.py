"""One module for each layer and option: name, module, shapes of its inputs without the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Module = Callable[[], nn.Module]
IMAGE, SEQUENCE, TOKENS = (4, 10, 8), (4, 11), (7, 12)


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


class First(nn.Module):
    """A module of which only the first result counts, as recurrent layers have several."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any) -> Any:
        return self.inner(*args)[0]


@dataclass(frozen=True)
class Case:
    name: str
    module: Module
    shapes: tuple[tuple[int, ...], ...]


def _of(prefix: str, shape: tuple[int, ...], modules: dict[str, Module]) -> list[Case]:
    return [Case(f"{prefix} {name}", make, (shape,)) for name, make in modules.items()]


CONVOLUTIONS = [
    *_of(
        "Conv2d",
        IMAGE,
        {
            "plain": lambda: nn.Conv2d(4, 6, 3),
            "stride 2 pad 1": lambda: nn.Conv2d(4, 6, 3, 2, 1, bias=False),
            "uneven": lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2)),
            "same": lambda: nn.Conv2d(4, 6, (4, 3), padding="same", dilation=2),
            "valid": lambda: nn.Conv2d(4, 6, 2, padding="valid"),
            "groups": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
            "depthwise": lambda: nn.Conv2d(4, 4, 3, 2, 1, groups=4),
            "multiplier": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
            "reflect": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
            "replicate": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="replicate"),
            "circular": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
            "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3)),
        },
    ),
    *_of(
        "Conv1d",
        SEQUENCE,
        {
            "plain": lambda: nn.Conv1d(4, 6, 3),
            "same": lambda: nn.Conv1d(4, 6, 4, padding="same"),
            "depthwise": lambda: nn.Conv1d(4, 4, 3, 2, 1, groups=4),
            "dilated groups": lambda: nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2),
        },
    ),
    *_of(
        "ConvTranspose2d",
        IMAGE,
        {
            "plain": lambda: nn.ConvTranspose2d(4, 6, 3),
            "stride": lambda: nn.ConvTranspose2d(4, 6, 2, 2),
            "crop": lambda: nn.ConvTranspose2d(4, 6, 4, 2, 1),
            "output padding": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
            "beyond": lambda: nn.ConvTranspose2d(4, 6, 3, 3, 0, output_padding=2),
            "groups": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2),
            "depthwise": lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1, groups=4, bias=False),
            "dilated": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, dilation=2),
        },
    ),
    *_of(
        "ConvTranspose1d",
        SEQUENCE,
        {"stride": lambda: nn.ConvTranspose1d(4, 6, 4, 2, 1)},
    ),
    *_of(
        "Linear",
        TOKENS,
        {
            "tokens": lambda: nn.Linear(12, 5),
            "no bias": lambda: nn.Linear(12, 5, bias=False),
            "flattened": lambda: nn.Sequential(nn.Flatten(), nn.Linear(84, 5)),
        },
    ),
    Case("Linear channels", lambda: nn.Sequential(nn.Flatten(), nn.Linear(320, 5)), (IMAGE,)),
    Case("Bilinear product", lambda: Do(lambda x, y: x @ y.transpose(1, 2)), (TOKENS, TOKENS)),
    Case("einsum order", lambda: Do(lambda x: torch.einsum("btc->cb", x)), (TOKENS,)),
    Case("einsum", lambda: Do(lambda x, y: torch.einsum("btc,bsc->bts", x, y)), (TOKENS, TOKENS)),
]

NORMALIZATIONS = [
    *_of(
        "normalize",
        IMAGE,
        {
            "BatchNorm2d": lambda: nn.BatchNorm2d(4, eps=1e-3),
            "BatchNorm2d plain": lambda: nn.BatchNorm2d(4, affine=False),
            "conv BatchNorm2d": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)),
            "GroupNorm": lambda: nn.GroupNorm(2, 4),
            "GroupNorm 1": lambda: nn.GroupNorm(1, 4),
            "InstanceNorm2d": lambda: nn.InstanceNorm2d(4, affine=True),
            "LayerNorm 3": lambda: nn.LayerNorm([4, 10, 8]),
            "F.normalize": lambda: Do(lambda x: F.normalize(x, dim=1)),
            "std": lambda: Do(lambda x: (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True)),
        },
    ),
    Case("BatchNorm1d", lambda: nn.BatchNorm1d(4), (SEQUENCE,)),
    Case("BatchNorm1d flat", lambda: nn.BatchNorm1d(9), ((9,),)),
    Case("LayerNorm", lambda: nn.LayerNorm(12), (TOKENS,)),
    Case("RMSNorm", lambda: nn.RMSNorm(12), (TOKENS,)),
    Case("InstanceNorm1d", lambda: nn.InstanceNorm1d(4), (SEQUENCE,)),
]

ACTIVATIONS = _of(
    "activation",
    IMAGE,
    {
        "ReLU": lambda: nn.ReLU(inplace=True),
        "ReLU6": nn.ReLU6,
        "LeakyReLU": lambda: nn.LeakyReLU(0.2),
        "PReLU": lambda: nn.PReLU(4),
        "PReLU 1": nn.PReLU,
        "ELU": lambda: nn.ELU(0.7),
        "ELU 1": nn.ELU,
        "CELU": lambda: nn.CELU(0.7),
        "SELU": nn.SELU,
        "GELU": nn.GELU,
        "GELU tanh": lambda: nn.GELU("tanh"),
        "SiLU": nn.SiLU,
        "Mish": nn.Mish,
        "Sigmoid": nn.Sigmoid,
        "LogSigmoid": nn.LogSigmoid,
        "Tanh": nn.Tanh,
        "Hardtanh": lambda: nn.Hardtanh(-0.5, 2),
        "Hardsigmoid": nn.Hardsigmoid,
        "Hardswish": nn.Hardswish,
        "Hardshrink": nn.Hardshrink,
        "Softshrink": nn.Softshrink,
        "Tanhshrink": nn.Tanhshrink,
        "Softplus": lambda: nn.Softplus(2),
        "Softsign": nn.Softsign,
        "Softmax": lambda: nn.Softmax(1),
        "Softmin": lambda: nn.Softmin(-1),
        "LogSoftmax": lambda: nn.LogSoftmax(2),
        "Softmax2d": nn.Softmax2d,
        "GLU": lambda: nn.GLU(1),
        "Threshold": lambda: nn.Threshold(0.1, -2),
        "RReLU": nn.RReLU,
        "clamp": lambda: Do(lambda x: x.clamp(-0.5, 0.7)),
        "clamp_min": lambda: Do(lambda x: x.clamp(min=0.3)),
    },
)

POOLS = [
    *_of(
        "pool",
        IMAGE,
        {
            "MaxPool2d": lambda: nn.MaxPool2d(2),
            "MaxPool2d pad": lambda: nn.MaxPool2d(3, 2, 1),
            "MaxPool2d ceil": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
            "AvgPool2d": lambda: nn.AvgPool2d((2, 3)),
            "AvgPool2d pad": lambda: nn.AvgPool2d(3, 2, 1),
            "AvgPool2d border": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            "AvgPool2d ceil": lambda: nn.AvgPool2d(3, 2, 1, True, divisor_override=None),
            "AvgPool2d divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
            "adaptive 1": lambda: nn.AdaptiveAvgPool2d(1),
            "adaptive even": lambda: nn.AdaptiveAvgPool2d((5, 4)),
            "adaptive odd": lambda: nn.AdaptiveAvgPool2d((3, None)),
            "adaptive max": lambda: nn.AdaptiveMaxPool2d(2),
            "mean": lambda: Do(lambda x: x.mean((2, 3))),
            "amax": lambda: Do(lambda x: x.amax((2, 3))),
        },
    ),
    Case("pool MaxPool1d", lambda: nn.MaxPool1d(3, 2, 1), (SEQUENCE,)),
    Case("pool AvgPool1d", lambda: nn.AvgPool1d(2), (SEQUENCE,)),
    Case("pool AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(1), (SEQUENCE,)),
]

SHAPES = _of(
    "shape",
    IMAGE,
    {
        "flatten": lambda: nn.Flatten(),
        "unflatten": lambda: nn.Unflatten(1, (2, 2)),
        "view": lambda: Do(lambda x: x.view(1, 2, 2, -1)),
        "permute": lambda: Do(lambda x: x.permute(0, 2, 3, 1)),
        "transpose": lambda: Do(lambda x: x.transpose(1, 2)),
        "movedim": lambda: Do(lambda x: x.movedim(1, -1)),
        "squeeze": lambda: Do(lambda x: x.unsqueeze(2).squeeze(2).unsqueeze(-1)),
        "cat": lambda: Do(lambda x: torch.cat([x, x * 2], 1)),
        "stack": lambda: Do(lambda x: torch.stack([x, -x], 2).flatten(1, 2)),
        "split": lambda: Do(lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1)),
        "chunk": lambda: Do(lambda x: x.chunk(3, 2)[2]),
        "unbind": lambda: Do(lambda x: x.unbind(1)[1]),
        "select": lambda: Do(lambda x: x[:, -1]),
        "slice": lambda: Do(lambda x: x[:, 1:, ::2, -3:]),
        "negative step": lambda: Do(lambda x: x.flip(2, 3)),
        "narrow": lambda: Do(lambda x: x.narrow(2, 1, 4)),
        "index": lambda: Do(lambda x: x[:, [3, 0, 0]]),
        "index_select": lambda: Do(lambda x: x.index_select(1, torch.tensor([2, 1]))),
        "expand": lambda: Do(lambda x: x[:, :1].expand(-1, 3, -1, -1)),
        "repeat": lambda: Do(lambda x: x.repeat(1, 2, 1, 1)),
        "roll": lambda: Do(lambda x: x.roll((1, -2), (2, 3))),
        "pixel_shuffle": lambda: nn.PixelShuffle(2),
        "pixel_unshuffle": lambda: nn.PixelUnshuffle(2),
        "channel_shuffle": lambda: nn.ChannelShuffle(2),
        "pad": lambda: nn.ZeroPad2d((1, 2, 0, 3)),
        "pad constant": lambda: nn.ConstantPad2d(1, 0.5),
        "pad reflect": lambda: nn.ReflectionPad2d((1, 2, 3, 0)),
        "pad replicate": lambda: nn.ReplicationPad2d((1, 2, 3, 0)),
        "pad circular": lambda: nn.CircularPad2d((1, 2, 3, 0)),
        "crop": lambda: Do(lambda x: F.pad(x, (-1, -2))),
        "identity": lambda: nn.Sequential(nn.Identity(), nn.Dropout(), nn.Dropout2d(), nn.ReLU()),
        "contiguous": lambda: Do(lambda x: x.permute(0, 2, 3, 1).contiguous().clone().float()),
        "output twice": lambda: Do(lambda x: (x + 1, x, x + 1)),
        "in place": lambda: Do(lambda x: F.relu_(x * 2) + F.relu(x - 1, inplace=True)),
        "dict": lambda: Do(lambda x: {"a": x + 1, "b": [x * 2, x * 3]}),
    },
)

RESIZES = [
    *_of(
        "resize",
        IMAGE,
        {
            "nearest": lambda: nn.Upsample(scale_factor=2),
            "nearest size": lambda: nn.Upsample(size=(15, 11)),
            "nearest down": lambda: nn.Upsample(size=(4, 3)),
            "nearest odd scale": lambda: nn.Upsample(scale_factor=1.7),
            "nearest-exact": lambda: nn.Upsample(size=(15, 11), mode="nearest-exact"),
            "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
            "bilinear corners": lambda: nn.Upsample(
                size=(15, 11), mode="bilinear", align_corners=True
            ),
            "bilinear down": lambda: nn.Upsample(size=(4, 3), mode="bilinear"),
        },
    ),
    Case("resize linear", lambda: nn.Upsample(scale_factor=2, mode="linear"), (SEQUENCE,)),
    Case("resize nearest 1d", lambda: nn.Upsample(scale_factor=3), (SEQUENCE,)),
]

ARITHMETIC = [
    Case(f"arithmetic {name}", lambda f=function: Do(f), shapes)  # type: ignore[misc]
    for name, function, shapes in [
        ("broadcast", lambda x, y: x * y + y / 2 - x, (IMAGE, (4, 1, 1))),
        ("residual", lambda x: x + F.relu(x), (IMAGE,)),
        ("numbers", lambda x: 1 - (2 * x + 3) / 4, (IMAGE,)),
        ("alpha", lambda x, y: torch.add(x, y, alpha=2), (IMAGE, IMAGE)),
        ("divide", lambda x, y: x / (y.abs() + 1), (IMAGE, IMAGE)),
        ("power", lambda x: x**2 + x.abs() ** 0.5 + (x.abs() + 1) ** -1 + x.abs() ** 1.5, (IMAGE,)),
        ("unary", lambda x: x.exp() + x.sin() - x.abs().log1p() + (-x).square(), (IMAGE,)),
        ("rounding", lambda x: x.floor() + x.ceil(), (IMAGE,)),
        ("extremes", lambda x, y: torch.maximum(x, y) - torch.minimum(x, y), (IMAGE, IMAGE)),
        ("where", lambda x, y: torch.where(x > y, x, y * 2), (IMAGE, IMAGE)),
        ("masked_fill", lambda x: x.masked_fill(x < 0, -1.0), (IMAGE,)),
        ("sums", lambda x: x.sum((1, 2)) + x.mean(3).sum(1, keepdim=False)[:, :8], ((4, 8, 8),)),
        ("max", lambda x: x.max(1)[0] + x.amin(1), (IMAGE,)),
        ("argmax", lambda x: x.argmax(1), (IMAGE,)),
        ("norm", lambda x: x.norm(dim=2) + x.norm(p=1, dim=2), (IMAGE,)),
        ("logsumexp", lambda x: x.logsumexp(1), (IMAGE,)),
        ("var", lambda x: x.var(2) + x.var(2, unbiased=False), (IMAGE,)),
        ("cumsum", lambda x: x.cumsum(2), (IMAGE,)),
    ]
]


class _Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, 8)
        self.register_buffer("places", torch.randn(1, 7, 8))

    def forward(self, x: Any) -> Any:
        indices = x.abs().clamp(max=3).mul(5).to(torch.int32)
        return self.tokens(indices) + self.places + self.tokens(torch.arange(7))


class _Positions(nn.Module):
    def forward(self, x: Any) -> Any:
        steps = torch.arange(7).unsqueeze(1)
        rates = torch.exp(torch.arange(0, 12, 2) * -0.5)
        table = torch.cat([torch.sin(steps * rates), torch.cos(steps * rates)], 1)
        causal = torch.ones(7, 7).tril() == 0
        scores = (x @ x.transpose(1, 2)).masked_fill(causal, float("-inf")).softmax(-1)
        return scores @ (x + table)


class _NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 12)

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            y = self.fc(x) * 2
        return y + x


def _attention(x: Any, y: Any) -> Any:
    return F.scaled_dot_product_attention(x, y, y, is_causal=True)


class Attend(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x, x, x)[0]


ATTENTION = [
    Case("attention sdpa", lambda: Do(_attention), ((2, 7, 6), (2, 7, 6))),
    Case(
        "attention self",
        lambda: Attend(nn.MultiheadAttention(12, 3, batch_first=True)),
        (TOKENS,),
    ),
    Case(
        "attention encoder",
        lambda: nn.TransformerEncoderLayer(12, 3, 24, batch_first=True, activation="gelu"),
        (TOKENS,),
    ),
    Case("attention causal", _Positions, (TOKENS,)),
    Case("embedding", _Embedded, ((7,),)),
    Case("no_grad", _NoGrad, (TOKENS,)),
]


class TimeFirst(nn.Module):
    """A recurrent layer whose first axis is time, called with the batch first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x.transpose(0, 1))[0].transpose(0, 1)


RECURRENT = [
    Case("LSTM", lambda: nn.LSTM(12, 5, batch_first=True), (TOKENS,)),
    Case(
        "LSTM two ways",
        lambda: First(nn.LSTM(12, 5, 2, batch_first=True, bidirectional=True)),
        (TOKENS,),
    ),
    Case("LSTM projected", lambda: First(nn.LSTM(12, 5, batch_first=True, proj_size=3)), (TOKENS,)),
    Case("LSTM time first", lambda: TimeFirst(nn.LSTM(12, 5, bias=False)), (TOKENS,)),
    Case("GRU", lambda: nn.GRU(12, 5, 2, batch_first=True, bidirectional=True), (TOKENS,)),
    Case("GRU no bias", lambda: First(nn.GRU(12, 5, batch_first=True, bias=False)), (TOKENS,)),
    Case("RNN", lambda: nn.RNN(12, 5, batch_first=True), (TOKENS,)),
    Case("RNN relu", lambda: First(nn.RNN(12, 5, 2, "relu", batch_first=True)), (TOKENS,)),
]

CASES = [
    *CONVOLUTIONS,
    *NORMALIZATIONS,
    *ACTIVATIONS,
    *POOLS,
    *SHAPES,
    *RESIZES,
    *ARITHMETIC,
    *ATTENTION,
    *RECURRENT,
]
