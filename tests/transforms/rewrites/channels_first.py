"""Networks as front ends of channels-first frameworks write them: transposes around operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op

Array = np.ndarray[Any, Any]


class First:
    """A float network whose activations are channels-first: (1, c, h, w) or (1, c, l).

    Args:
        shape: of the input.
        seed: of all weights and choices.
    """

    def __init__(self, shape: tuple[int, ...] = (1, 3, 10, 8), seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = GraphBuilder("first")
        self.x = self.b.input("x", TensorType(shape, "float32"))

    def shape(self, x: str) -> tuple[int, ...]:
        return self.b.type(x).shape

    def add(self, op: str, *operands: str, **how: Any) -> str:
        return self.b.add(get_op(op)(**how), list(operands))

    def constant(self, *shape: int) -> str:
        return self.b.constant(self.rng.normal(0, 0.4, shape).astype(np.float32))

    def last(self, x: str) -> str:
        return self.add("TRANSPOSE", x, perm=(0, *range(2, len(self.shape(x))), 1))

    def first(self, x: str) -> str:
        rank = len(self.shape(x))
        return self.add("TRANSPOSE", x, perm=(0, rank - 1, *range(1, rank - 1)))

    def permute(self, x: str, *perm: int) -> str:
        return self.add("TRANSPOSE", x, perm=perm)

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("RESHAPE", x, new_shape=shape)

    def conv(self, x: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
        w = self.constant(channels, kernel, kernel, self.shape(x)[1])
        how = {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        return self.first(self.add("CONV_2D", self.last(x), w, self.constant(channels), **how))

    def conv1d(self, x: str, channels: int, kernel: int = 3) -> str:
        """(1, c, l): as an image of height 1."""
        _, c, length = self.shape(x)
        image = self.reshape(self.last(x), 1, 1, length, c)
        w = self.constant(channels, 1, kernel, c)
        y = self.add("CONV_2D", image, w, padding="SAME")
        return self.first(self.reshape(y, 1, length, channels))

    def depthwise(self, x: str) -> str:
        c = self.shape(x)[1]
        operands = (self.last(x), self.constant(1, 3, 3, c), self.constant(c))
        return self.first(self.add("DEPTHWISE_CONV_2D", *operands, padding="SAME"))

    def pool(self, x: str, kind: str = "MAX_POOL_2D") -> str:
        how = {"stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}
        return self.first(self.add(kind, self.last(x), padding="SAME", **how))

    def up(self, x: str) -> str:
        _, _, h, w = self.shape(x)
        return self.first(self.add("RESIZE_NEAREST_NEIGHBOR", self.last(x), size=(2 * h, 2 * w)))

    def norm(self, x: str) -> str:
        c = self.shape(x)[1]
        statistics = [self.constant(c) for _ in range(3)]
        statistics.append(self.b.constant(self.rng.uniform(0.5, 2, c).astype(np.float32)))
        return self.first(self.add("BATCH_NORM", self.last(x), *statistics))

    def excite(self, x: str) -> str:
        """Squeeze and excite."""
        c = self.shape(x)[1]
        y = self.add("MEAN", x, axis=(2, 3), keep_dims=True)
        y = self.add("RELU", self.conv(y, 2, kernel=1))
        return self.add("MUL", x, self.add("LOGISTIC", self.conv(y, c, kernel=1)))

    def swish(self, x: str) -> str:
        """Hard swish, spelled out: x * relu6(x + 3) / 6."""
        three, sixth = (self.b.constant(np.array(v, np.float32)) for v in (3, 1 / 6))
        y = self.add("RELU6", self.add("ADD", x, three))
        return self.add("MUL", self.add("MUL", x, y), sixth)

    def linear(self, x: str, outputs: int) -> str:
        w = self.constant(outputs, self.shape(x)[-1])
        return self.add("FULLY_CONNECTED", x, w, self.constant(outputs), keep_num_dims=True)

    def build(self, *outputs: str) -> Graph:
        return self.b.build(list(outputs))


def residual_network(n: First) -> Graph:
    x = n.add("RELU", n.norm(n.conv(n.x, 8, stride=2)))
    for _ in range(2):
        y = n.norm(n.conv(n.add("RELU", n.norm(n.conv(x, 8))), 8))
        x = n.add("RELU", n.add("ADD", x, y))
    return n.build(n.linear(n.add("MEAN", x, axis=(2, 3)), 5))


def u_network(n: First) -> Graph:
    a = n.add("RELU", n.conv(n.x, 4))
    b = n.add("RELU", n.conv(n.pool(a), 6))
    c = n.add("RELU", n.conv(n.pool(b), 8))
    _, _, h, w = n.shape(b)
    up = n.add("STRIDED_SLICE", n.up(c), begin=(0,) * 4, end=(1, 8, h, w), strides=(1,) * 4)
    b = n.add("RELU", n.conv(n.add("CONCATENATION", up, b, axis=1), 6))
    a = n.add("CONCATENATION", n.up(b), a, axis=1)
    return n.build(n.add("LOGISTIC", n.conv(a, 1)))


def mobile_network(n: First) -> Graph:
    x = n.swish(n.norm(n.conv(n.x, 8, stride=2)))
    for _ in range(2):
        y = n.swish(n.norm(n.conv(x, 12, kernel=1)))
        y = n.excite(n.swish(n.norm(n.depthwise(y))))
        x = n.add("ADD", x, n.norm(n.conv(y, 8, kernel=1)))
    x = n.add("MEAN", n.swish(x), axis=(2, 3), keep_dims=True)
    x = n.reshape(n.swish(n.conv(x, 10, kernel=1)), 1, 10)
    return n.build(n.linear(x, 4))


def detector(n: First) -> Graph:
    """SSD heads: permute, reshape, concatenate."""
    x = n.add("RELU", n.conv(n.x, 8))
    small = n.add("RELU", n.conv(n.pool(x), 8))
    boxes, scores = [], []
    for level in (x, small):
        for parts, width in ((boxes, 4), (scores, 3)):
            head = n.permute(n.conv(level, 2 * width), 0, 2, 3, 1)
            _, h, w, _ = n.shape(head)
            parts.append(n.reshape(head, 1, h * w * 2, width))
    found = [n.add("CONCATENATION", *parts, axis=1) for parts in (boxes, scores)]
    return n.build(found[0], n.add("SOFTMAX", found[1]))


def reader(n: First) -> Graph:
    """CRNN: columns of an image become a sequence."""
    x = n.add("RELU", n.conv(n.x, 8, stride=2))
    x = n.add("MEAN", x, axis=(2,))
    sequence = n.permute(x, 0, 2, 1)
    return n.build(n.add("SOFTMAX", n.linear(sequence, 6)))


def patches(n: First) -> Graph:
    """ViT: an image becomes a sequence of tokens."""
    x = n.conv(n.x, 8, stride=2)
    _, c, h, w = n.shape(x)
    tokens = n.permute(n.reshape(x, 1, c, h * w), 0, 2, 1)
    tokens = n.add("ADD", tokens, n.constant(1, h * w, c))
    mixed = n.add("ADD", tokens, n.linear(n.add("RELU", n.linear(tokens, 12)), c))
    return n.build(n.linear(n.add("MEAN", mixed, axis=(1,)), 5))


def sequence_network(n: First) -> Graph:
    x = n.add("RELU", n.conv1d(n.x, 6))
    y = n.add("LEAKY_RELU", n.conv1d(x, 6))
    x = n.add("MUL", n.add("ADD", x, y), n.constant(6, 1))
    return n.build(n.conv1d(n.add("PAD", x, paddings=((0, 0), (0, 0), (1, 2))), 4))


IMAGES = (
    residual_network, u_network, mobile_network, detector, reader, patches,
)  # fmt: skip


def random_network(n: First) -> Graph:
    """Layers at random, with branches and shortcuts; two outputs now and then."""
    rng, x, outputs = n.rng, n.x, []
    for _ in range(int(rng.integers(2, 8))):
        c = n.shape(x)[1]
        kind = int(rng.integers(13))
        if kind < 3:
            x = n.conv(x, int(rng.integers(1, 7)), kernel=int(rng.choice((1, 3))))
        elif kind == 3:
            x = n.depthwise(x)
        elif kind == 4:
            x = n.norm(x)
        elif kind == 5:
            x = n.excite(x)
        elif kind == 6:
            x = n.swish(x)
        elif kind == 7:
            x = n.add("ADD", x, n.add("RELU", n.conv(x, c)))
        elif kind == 8:
            x = n.add("CONCATENATION", n.conv(x, 2), x, axis=1)
        elif kind == 9:
            x = n.add(str(rng.choice(("ADD", "SUB", "MUL"))), n.constant(c, 1, 1), x)
        elif kind == 10:
            x = n.add("PAD", x, paddings=((0, 0), (0, 0), (1, 0), (0, 1)))
        elif kind == 11:
            x = n.up(n.pool(x, str(rng.choice(("MAX_POOL_2D", "AVERAGE_POOL_2D")))))
        else:
            x = n.add(str(rng.choice(("RELU", "TANH", "LOGISTIC", "LEAKY_RELU"))), x)
        if rng.random() < 0.08:
            outputs.append(x)
    end = rng.random()
    if end < 0.3:
        x = n.conv(x, 4)
    elif end < 0.6:
        x = n.linear(n.add("MEAN", x, axis=(2, 3)), 4)
    else:
        x = n.linear(n.reshape(x, 1, int(np.prod(n.shape(x)))), 4)
    return n.build(*dict.fromkeys([*outputs, x]))
