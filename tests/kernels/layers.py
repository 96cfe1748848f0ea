"""Random layers with int8 weights, for tests of the kernels that compute them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import Op
from smidgen.ops.conv_2d import Conv2D
from smidgen.ops.depthwise_conv_2d import DepthwiseConv2D
from smidgen.ops.fully_connected import FullyConnected

Array = np.ndarray[Any, Any]
ZERO_POINTS = (-128, -128, -128, 127, 0, -7, 83)
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def layer(
    rng: np.random.Generator,
    op: Op,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    *,
    points: tuple[int, int] = (-128, -128),
    bias: bool = True,
    spread: float = 1.0,
    per_channel: bool = True,
    weights: Array | None = None,
) -> Graph:
    """A graph of one operator, whose outputs cover int8 at a spread of 1."""
    axis = 3 if isinstance(op, DepthwiseConv2D) else 0
    channels = w_shape[axis]
    fan_in = int(np.prod(w_shape)) // channels
    out_scale = 0.01 if getattr(op, "fused_activation_function", "") == "RELU_N1_TO_1" else 0.02
    scales = rng.uniform(0.3, 3.0, channels) * spread * out_scale / np.sqrt(fan_in) / 5
    if not per_channel or channels == 1:
        quant = QuantParams.per_tensor(scales[0])
        bias_quant = QuantParams.per_tensor(scales[0] * 0.1)
    else:
        quant = QuantParams.per_channel(scales, axis)
        bias_quant = QuantParams.per_channel(scales * 0.1, 0)
    w = rng.integers(-128, 128, w_shape).astype(np.int8) if weights is None else weights
    builder = GraphBuilder("layer")
    x = builder.input("x", TensorType(x_shape, "int8", QuantParams.per_tensor(0.1, points[0])))
    operands = [x, builder.constant(w, quant=quant)]
    if bias:
        values = rng.integers(-(2**13), 2**13, channels).astype(np.int32)
        operands.append(builder.constant(values, quant=bias_quant))
    return builder.build(
        [builder.add(op, operands, quant=QuantParams.per_tensor(out_scale, points[1]))]
    )


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "points": (int(rng.choice(ZERO_POINTS)), int(rng.choice(ZERO_POINTS))),
        "bias": bool(rng.random() < 0.8),
        "spread": float(rng.choice([0.01, 1.0, 1.0, 20.0])),
    }


def window(rng: np.random.Generator, *, dilate: bool) -> tuple[Any, tuple[int, int], list[int]]:
    """An operator's window attributes, its kernel and the size of an image it fits into."""
    kernel = [(1, 1), (3, 3), (3, 3), (1, 3), (2, 2), (5, 4), (10, 4)][rng.integers(7)]
    stride = [(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)][rng.integers(5)]
    dilation = [(1, 1), (1, 1), (2, 1), (2, 3)][rng.integers(4 if dilate else 3)]
    size = rng.integers(1, 14, 2).tolist()
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    small = any(s < e for s, e in zip(size, extent, strict=True))
    padding = "SAME" if small or rng.random() < 0.7 else "VALID"
    return (*stride, padding, ACTIVATIONS[rng.integers(4)], *dilation), kernel, size


def random_conv(rng: np.random.Generator) -> Graph:
    attributes, kernel, size = window(rng, dilate=True)
    channels = int(rng.choice([1, 2, 3, 4, 8, 16, rng.integers(1, 40)]))
    weights = (int(rng.integers(1, 40)), *kernel, channels)
    return layer(rng, Conv2D(*attributes), (1, *size, channels), weights, **drawn(rng))


def random_depthwise(rng: np.random.Generator) -> Graph:
    attributes, kernel, size = window(rng, dilate=False)
    channels, multiplier = int(rng.integers(1, 30)), int(rng.choice([1, 1, 1, 2, 3]))
    weights = (1, *kernel, channels * multiplier)
    return layer(rng, DepthwiseConv2D(*attributes), (1, *size, channels), weights, **drawn(rng))


def random_fully_connected(rng: np.random.Generator) -> Graph:
    rows, inputs, outputs = (int(rng.integers(1, n)) for n in (4, 70, 40))
    op = FullyConnected(ACTIVATIONS[rng.integers(4)])
    kinds = {**drawn(rng), "per_channel": bool(rng.random() < 0.4)}
    return layer(rng, op, (1, rows * inputs), (outputs, inputs), **kinds)


RANDOM: dict[str, Callable[[np.random.Generator], Graph]] = {
    "conv_2d": random_conv,
    "depthwise_conv_2d": random_depthwise,
    "fully_connected": random_fully_connected,
}


def extremes(rng: np.random.Generator, graph: Graph) -> Array:
    """Samples (5, ...): noise, and images of the smallest and largest values."""
    shape = graph.input_types[0].shape[1:]
    x = rng.integers(-128, 128, (5, *shape)).astype(np.int8)
    x[2], x[3] = -128, 127
    x[4] = rng.choice(np.array([-128, 127], np.int8), shape)
    return x
