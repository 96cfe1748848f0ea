"""Convolutions for tests of their kernels: layers of every kind, inputs at the extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.select_kernels import select_kernels
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops.conv_2d import Conv2D

Array = np.ndarray[Any, Any]
ZERO_POINTS = (-128, -128, -128, 127, 0, -7, 83)
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def layer(
    rng: np.random.Generator,
    x_shape: tuple[int, int, int],
    w_shape: tuple[int, int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    bias: bool = True,
    spread: float = 1.0,
    points: tuple[int, int] = (-128, -128),
    weights: Array | None = None,
) -> Graph:
    """A graph of one convolution: x_shape (h, w, c), w_shape (channels, h, w).

    Outputs cover int8 at a spread of 1; at a large one nearly all saturate.
    """
    shape = (*w_shape, x_shape[2])
    w = rng.integers(-127, 128, shape).astype(np.int8) if weights is None else weights
    fan_in = int(np.prod(shape[1:]))
    out_scale = 0.02 if activation != "RELU_N1_TO_1" else 0.01
    scales = rng.uniform(0.3, 3.0, w_shape[0]) * spread * out_scale / np.sqrt(fan_in) / 5
    builder = GraphBuilder("layer")
    x = builder.input(
        "x", TensorType((1, *x_shape), "int8", QuantParams.per_tensor(0.1, points[0]))
    )
    per_channel = w_shape[0] > 1
    quant = QuantParams.per_channel(scales, 0) if per_channel else QuantParams.per_tensor(scales[0])
    operands = [x, builder.constant(w, quant=quant)]
    if bias:
        values = rng.integers(-(2**13), 2**13, w_shape[0]).astype(np.int32)
        b_quant = (
            QuantParams.per_channel(scales * 0.1, 0)
            if per_channel
            else QuantParams.per_tensor(scales[0] * 0.1)
        )
        operands.append(builder.constant(values, quant=b_quant))
    op = Conv2D(*stride, padding, activation)
    return builder.build(
        [builder.add(op, operands, quant=QuantParams.per_tensor(out_scale, points[1]))]
    )


def random_layer(rng: np.random.Generator) -> Graph:
    """Any size, alignment, zero point, activation and padding."""
    kernel = [(1, 1), (1, 1), (3, 3), (3, 3), (1, 3), (2, 2), (5, 4), (10, 4)][rng.integers(8)]
    channels = int(rng.choice([1, 2, 3, 4, 8, 16, rng.integers(1, 68)]))
    size = rng.integers(1, 12, 2)
    padding = "SAME" if (size < kernel).any() or rng.random() < 0.7 else "VALID"
    return layer(
        rng,
        (int(size[0]), int(size[1]), channels),
        (int(rng.integers(1, 68)), *kernel),
        stride=[(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)][rng.integers(5)],
        padding=padding,
        activation=ACTIVATIONS[rng.integers(4)],
        bias=rng.random() < 0.8,
        spread=float(rng.choice([0.01, 1.0, 1.0, 20.0])),
        points=(int(rng.choice(ZERO_POINTS)), int(rng.choice(ZERO_POINTS))),
    )


def extremes(rng: np.random.Generator, graph: Graph) -> Array:
    """Samples (6, h, w, c): noise, and images of the smallest and largest values."""
    shape = graph.input_types[0].shape[1:]
    x = rng.integers(-128, 128, (6, *shape)).astype(np.int8)
    x[3], x[4] = -128, 127
    x[5] = rng.choice(np.array([-128, 127], np.int8), shape)
    return x


def kernels(graph: Graph) -> set[str]:
    """The C functions chosen on a core with DSP instructions."""
    return {step.kernel.symbol for step in select_kernels(graph, features=["dsp"])}


def only(monkeypatch: pytest.MonkeyPatch, *symbols: str) -> None:
    """Leave CONV_2D these kernels, in this order."""
    named = {k.symbol: k for k in Conv2D.kernels}
    monkeypatch.setattr(Conv2D, "kernels", tuple(named[symbol] for symbol in symbols))
