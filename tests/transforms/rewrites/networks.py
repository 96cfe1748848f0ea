"""Random convolutional networks whose channels die in every way that training makes them die."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor


class Network:
    """A network under construction; every layer takes and returns the name of an activation.

    Args:
        seed: of all choices.
        dtype: "int8" or "float32".
        dead: share of the channels that are made dead in one way or another.
    """

    def __init__(self, seed: int, dtype: str = "int8", dead: float = 0.4) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.dead = dead
        self.builder = GraphBuilder("network")

    # -- pieces ----------------------------------------------------------------------------------

    def quant(self) -> QuantParams | None:
        """Parameters of an activation; the zero point is often that of a ReLU."""
        if self.dtype == "float32":
            return None
        zero_point = int(self.rng.choice([-128, -128, 127, 0, self.rng.integers(-128, 128)]))
        return Q(float(np.exp(self.rng.uniform(-4, 0))), zero_point)

    def input(self, shape: tuple[int, ...]) -> str:
        return self.builder.input("x", TensorType(shape, self.dtype, self.quant()))

    def activation(self) -> str:
        return str(self.rng.choice(["NONE", "RELU", "RELU", "RELU6"]))

    def shape(self, x: str) -> tuple[int, ...]:
        return self.builder.type(x).shape

    def weighted(self, op: Any, x: str, shape: tuple[int, ...], axis: int) -> str:
        """A layer with weights of `shape`, channels on `axis`; some of its channels are dead."""
        rng, channels = self.rng, shape[axis]
        w = rng.integers(-127, 128, (channels, *np.delete(shape, axis)))
        hit = rng.random(channels)
        w[hit < self.dead / 2] = 0
        if axis == 0:
            w[..., rng.random(w.shape[-1]) < self.dead / 3] = 0  # inputs that nobody reads
        if rng.random() < 0.2:
            w[rng.random(w.shape) < 0.7] = 0
        bias = rng.integers(-3000, 3000, channels)
        saturated = (hit > self.dead / 2) & (hit < self.dead)
        bias[saturated] = rng.choice([-(2**25), 2**25], channels)[saturated]
        w, fan_in = np.moveaxis(w, 0, axis), max(1, w.size // channels)
        has_bias = rng.random() < 0.85
        if self.dtype == "float32":
            operands = [x, self.builder.constant((w / 127 / fan_in**0.5).astype(np.float32))]
            if has_bias:
                operands.append(self.builder.constant((bias / 3000).astype(np.float32)))
            return self.builder.add(op, operands)
        x_quant, out_quant = self.builder.type(x).quant, self.quant()
        assert x_quant is not None and out_quant is not None
        per_channel = rng.random() < 0.7
        spread = rng.uniform(0.5, 2.0, channels if per_channel else 1)
        scales = out_quant.scale / x_quant.scale / fan_in**0.5 / 74 * spread
        w_quant = QuantParams.per_channel(scales, axis) if per_channel else Q(float(scales[0]))
        sums = [x_quant.scale * scale for scale in w_quant.scales]
        b_quant = QuantParams.per_channel(sums, 0) if per_channel else Q(sums[0])
        operands = [x, self.builder.constant(w.astype(np.int8), quant=w_quant)]
        if has_bias:
            operands.append(self.builder.constant(bias.astype(np.int32), quant=b_quant))
        return self.builder.add(op, operands, quant=out_quant)

    # -- layers ----------------------------------------------------------------------------------

    def conv(self, x: str, channels: int | None = None, stride: int | None = None) -> str:
        rng, (_, h, w, c) = self.rng, self.shape(x)
        kernel = tuple(int(k) for k in rng.choice([1, 1, 3, 2], 2))
        stride = int(rng.choice([1, 1, 2])) if stride is None else stride
        padding = "SAME" if stride == 1 or rng.random() < 0.5 else "VALID"
        if h < kernel[0] or w < kernel[1]:
            padding = "SAME"
        dilation = int(rng.choice([1, 1, 1, 2])) if padding == "SAME" and stride == 1 else 1
        op = get_op("CONV_2D")(stride, stride, padding, self.activation(), dilation, dilation)  # type: ignore[call-arg]
        return self.weighted(op, x, (channels or int(rng.integers(1, 9)), *kernel, c), 0)

    def depthwise(self, x: str) -> str:
        rng, c = self.rng, self.shape(x)[3]
        stride, multiplier = int(rng.choice([1, 1, 2])), int(rng.choice([1, 1, 1, 2]))
        op = get_op("DEPTHWISE_CONV_2D")(stride, stride, "SAME", self.activation())  # type: ignore[call-arg]
        kernel = int(rng.choice([1, 3, 3]))
        return self.weighted(op, x, (1, kernel, kernel, c * multiplier), 3)

    def pool(self, x: str) -> str:
        kind = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        op = get_op(kind)(2, 2, 2, 2, "SAME", self.activation())  # type: ignore[call-arg]
        return self.builder.add(op, [x], quant=self.builder.type(x).quant)

    def elementwise(self, x: str) -> str:
        op = get_op(str(self.rng.choice(["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "QUANTIZE"])))
        if op.name == "LOGISTIC" and self.dtype == "int8":
            return self.builder.add(op(), [x], quant=Q(1 / 256, -128))
        if op.name == "QUANTIZE" and self.dtype == "float32":
            return x
        keep = op.name == "RELU6" or self.rng.random() < 0.7
        same = self.builder.type(x).quant if keep else self.quant()
        return self.builder.add(op(), [x], quant=same)

    def residual(self, x: str) -> str:
        y = self.conv(x, channels=self.shape(x)[3], stride=1)
        operands = [x, y] if self.rng.random() < 0.5 else [y, x]
        return self.builder.add(get_op("ADD")(self.activation()), operands, quant=self.quant())  # type: ignore[call-arg]

    def branches(self, x: str) -> str:
        parts = [self.conv(x, stride=1), self.conv(x, stride=1)]
        quant = self.builder.type(parts[0]).quant
        if quant is not None:
            parts[1] = self.builder.add(get_op("QUANTIZE")(), [parts[1]], quant=quant)
        if self.rng.random() < 0.2:
            parts[1] = parts[0]
        return self.builder.add(get_op("CONCATENATION")(3), parts, quant=quant)  # type: ignore[call-arg]

    def pad(self, x: str) -> str:
        op = get_op("PAD")(((0, 0), (1, 1), (0, 1), (0, 0)))  # type: ignore[call-arg]
        return self.builder.add(op, [x], quant=self.builder.type(x).quant)

    def head(self, x: str) -> str:
        """To a vector: flattened, averaged, or through a reshape; then fully connected."""
        quant, shape = self.builder.type(x).quant, self.shape(x)
        kind = self.rng.integers(4)
        if kind == 0:
            x = self.builder.add(get_op("RESHAPE")((1, int(np.prod(shape)))), [x], quant=quant)  # type: ignore[call-arg]
        elif kind == 1:
            x = self.builder.add(get_op("MEAN")((1, 2)), [x], quant=self.quant())  # type: ignore[call-arg]
        elif kind == 2:
            op = get_op("AVERAGE_POOL_2D")(1, 1, *shape[1:3])  # type: ignore[call-arg]
            x = self.builder.add(op, [x], quant=quant)
        for _ in range(int(self.rng.integers(1, 3))):
            row = int(np.prod(self.shape(x)[1:]))
            op = get_op("FULLY_CONNECTED")(self.activation())  # type: ignore[call-arg]
            x = self.weighted(op, x, (int(self.rng.integers(1, 9)), row), 0)
        return x


def network(seed: int, dtype: str = "int8", dead: float = 0.4) -> Graph:
    """A random network of 3 to 10 layers, with one output or two."""
    net = Network(seed, dtype, dead)
    rng = net.rng
    x = net.input((1, int(rng.integers(2, 9)), int(rng.integers(2, 9)), int(rng.integers(1, 5))))
    layers = [net.conv, net.depthwise, net.pool, net.elementwise, net.residual, net.branches]
    outputs = []
    for _ in range(int(rng.integers(2, 7))):
        layer = layers[int(rng.choice(len(layers), p=[0.3, 0.25, 0.05, 0.1, 0.15, 0.15]))]
        x = layer(net.pad(x)) if rng.random() < 0.08 else layer(x)
        if rng.random() < 0.06:
            outputs.append(x)
    if rng.random() < 0.9:
        x = net.head(x)
    return net.builder.build(list(dict.fromkeys([x, *outputs])))
