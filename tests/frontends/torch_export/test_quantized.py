"""Models with quantize and dequantize pairs, as PyTorch's export quantization leaves them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
import torch.nn.functional as F
from torch import nn

import smidgen
from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams
from tests.frontends.torch_export.layers import Do

pytestmark = pytest.mark.torch

INT8 = (-128, 127, torch.int8)
UINT8 = (0, 255, torch.uint8)


def pair(x: Any, scale: float, zero: int, kind: Any = INT8) -> Any:
    """What stands between two operators of a quantized model."""
    ops = torch.ops.quantized_decomposed
    q = ops.quantize_per_tensor(x, scale, zero, *kind)
    return ops.dequantize_per_tensor(q, scale, zero, *kind)


class Quantized(nn.Module):
    """Convolution, pool, residual, linear; weights stored as int8, one scale a channel."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self.zero = 0 if kind is INT8 else 128
        for name, shape in (("w1", (8, 3, 3, 3)), ("w2", (8, 8, 1, 1)), ("w3", (5, 8 * 16))):
            self.register_buffer(name, torch.randint(-127, 128, shape).to(torch.int8))
            scales = torch.rand(shape[0]) * 0.002 + 0.0005
            self.register_buffer(f"{name}_scales", scales)
            self.register_buffer(f"{name}_zeros", torch.zeros(shape[0], dtype=torch.int64))
            self.register_buffer(f"{name}_bias", torch.randn(shape[0]))

    def weight(self, name: str) -> Any:
        part = [getattr(self, f"{name}{suffix}") for suffix in ("", "_scales", "_zeros")]
        return torch.ops.quantized_decomposed.dequantize_per_channel(
            *part, 0, -127, 127, torch.int8
        )

    def pair(self, x: Any, scale: float, zero: int) -> Any:
        return pair(x, scale, zero + self.zero, self.kind)

    def forward(self, x: Any) -> Any:
        x = self.pair(x, 0.05, 3)
        x = F.relu(F.conv2d(x, self.weight("w1"), self.w1_bias, padding=1))
        x = self.pair(F.max_pool2d(self.pair(x, 0.0831, -128), 2), 0.0831, -128)
        y = self.pair(F.conv2d(x, self.weight("w2"), self.w2_bias), 0.1017, 5)
        x = self.pair(x + y, 0.1273, -20)
        x = torch.flatten(x, 1)
        return self.pair(F.linear(x, self.weight("w3"), self.w3_bias), 0.2, 1)


@pytest.mark.parametrize("kind", [INT8, UINT8], ids=["int8", "uint8"])
def test_it_becomes_an_integer_graph_with_the_models_own_scales(kind: Any) -> None:
    torch.manual_seed(0)
    module = Quantized(kind).eval()
    graph = smidgen.load(module, example=(torch.zeros(1, 3, 8, 8),))
    names = [node.op.name for node in graph.nodes]
    kept = {v.type.quant for v in graph.values.values() if not v.is_constant and v.type.quant}
    assert kept == {
        QuantParams.per_tensor(scale, zero)
        for scale, zero in ((0.05, 3), (0.0831, -128), (0.1017, 5), (0.1273, -20), (0.2, 1))
    }
    assert names.count("CONV_2D") == 2
    assert "TRANSPOSE" not in names
    floats = {n.op.name for n in graph.nodes if graph.type(n.outputs[0]).dtype == "float32"}
    assert floats <= {"DEQUANTIZE"}

    x = torch.randn(20, 3, 8, 8)
    with torch.no_grad():
        wanted = module(x).numpy()
    given = x.permute(0, 2, 3, 1).numpy() if graph.channels_first else x.numpy()
    (got,) = smidgen.run(graph, np.ascontiguousarray(given))
    steps = np.abs(got - wanted) / 0.2
    # Scales that no sum of two meets half way: there PyTorch rounds to even and LiteRT away from 0.
    assert steps.max() <= 1.01
    assert (steps < 0.5).mean() > 0.9


def test_an_operator_that_is_not_between_pairs_stays_in_float() -> None:
    module = Do(lambda x: pair(torch.exp(pair(x, 0.05, 0)) * 2, 0.1, 0)).eval()
    x = torch.randn(4, 6)
    (got,) = smidgen.run(smidgen.load(module, example=(x[:1],)), x.numpy())
    assert np.abs(got - module(x).numpy()).max() <= 0.101


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: pair(x, 0.1, 0, (-8, 7, torch.int8)), "from -8 to 7"),
        (lambda x: pair(x, 0.1, 0, (-(2**31), 2**31 - 1, torch.int32)), "quantizes to int32"),
    ],
)
def test_refusals(function: Any, why: str) -> None:
    with pytest.raises(UnsupportedModelError, match=why):
        smidgen.load(Do(function).eval(), example=(torch.zeros(1, 4),))
