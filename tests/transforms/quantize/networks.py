"""Small float networks and samples that the tests of quantization share."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op

Array = np.ndarray[Any, Any]


def normal(seed: int, *shape: int, scale: float = 1.0) -> Array:
    """Normally distributed float32."""
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def images(count: int = 64, seed: int = 7) -> Array:
    """Samples for the networks below: (count, 8, 8, 3)."""
    return normal(seed, count, 8, 8, 3)


class Net:
    """A graph in the making, with random weights."""

    def __init__(self, name: str = "net", *, shape: tuple[int, ...] = (1, 8, 8, 3)) -> None:
        self.b = GraphBuilder(name)
        self.x = self.b.input("x", TensorType(shape, "float32"))
        self.seed = 100

    def constant(self, *shape: int, scale: float = 1.0, name: str = "w") -> str:
        """Random numbers, others in each call."""
        self.seed += 1
        return self.b.constant(normal(self.seed, *shape, scale=scale), name=name)

    def add(self, op: str, inputs: list[Any], name: str, **fields: Any) -> str:
        """Any operator."""
        return self.b.add(get_op(op)(**fields), inputs, name=name)

    def conv(
        self, x: str, channels: int, name: str, size: int = 3, activation: str = "RELU"
    ) -> str:
        """A CONV_2D of the same height and width."""
        inner = self.b.type(x).shape[-1]
        w = self.constant(channels, size, size, inner, scale=(size * size * inner) ** -0.5)
        bias = self.constant(channels, scale=0.1, name="bias")
        fields = {"padding": "SAME", "fused_activation_function": activation}
        return self.add("CONV_2D", [x, w, bias], name, **fields)

    def depthwise(self, x: str, name: str, activation: str = "RELU") -> str:
        """A DEPTHWISE_CONV_2D of the same height and width."""
        channels = self.b.type(x).shape[-1]
        w = self.constant(1, 3, 3, channels, scale=1 / 3)
        bias = self.constant(channels, scale=0.1, name="bias")
        fields = {"padding": "SAME", "fused_activation_function": activation}
        return self.add("DEPTHWISE_CONV_2D", [x, w, bias], name, **fields)

    def dense(self, x: str, outputs: int, name: str, activation: str = "NONE") -> str:
        """A FULLY_CONNECTED on all of a sample."""
        size = self.b.type(x).size
        flat = self.add("RESHAPE", [x], f"{name}_flat", new_shape=(1, size))
        w = self.constant(outputs, size, scale=size**-0.5)
        bias = self.constant(outputs, scale=0.1, name="bias")
        return self.add(
            "FULLY_CONNECTED", [flat, w, bias], name, fused_activation_function=activation
        )

    def build(self, *outputs: str) -> Graph:
        """The verified graph."""
        return self.b.build(list(outputs))


def classifier() -> Graph:
    """Convolution, depthwise convolution, a residual sum, pooling, dense, softmax."""
    net = Net("classifier")
    a = net.conv(net.x, 8, "stem")
    b = net.depthwise(a, "spread")
    c = net.conv(b, 8, "mix", size=1, activation="NONE")
    d = net.add("ADD", [a, c], "sum", fused_activation_function="RELU")
    pool = {"filter_height": 2, "filter_width": 2, "stride_h": 2, "stride_w": 2}
    e = net.add("MAX_POOL_2D", [d], "pool", **pool)
    f = net.dense(e, 5, "head")
    return net.build(net.add("SOFTMAX", [f], "softmax"))


def branches() -> Graph:
    """Two branches of different range, concatenated; the wide one has another reader as well."""
    net = Net("branches")
    narrow = net.conv(net.x, 4, "narrow")
    wide = net.add("MUL", [net.conv(net.x, 4, "wide"), net.b.constant(np.float32([50]))], "louder")
    both = net.add("CONCATENATION", [narrow, wide], "both", axis=3)
    mean = net.add("MEAN", [wide], "mean", axis=(1, 2))
    return net.build(net.conv(both, 2, "last"), mean)


def chain(activation: str = "RELU") -> Graph:
    """Two convolutions whose channels between them differ a lot in range."""
    net = Net("chain")
    a = net.conv(net.x, 8, "first", activation=activation)
    b = net.conv(a, 8, "second", activation="NONE")
    graph = net.build(b)
    factors = np.geomspace(1e-2, 1e2, 8).astype(np.float32)
    made, read = graph.producers["first"], graph.producers["second"]
    return replaced(
        graph,
        {
            made.inputs[1]: graph.data(made.inputs[1]) * factors[:, None, None, None],
            made.inputs[2]: graph.data(made.inputs[2]) * factors,
            read.inputs[1]: graph.data(read.inputs[1]) / factors,
        },
    )


def replaced(graph: Graph, constants: dict[Any, Any]) -> Graph:
    """The same graph with other constants, by name."""
    import dataclasses

    values = dict(graph.values)
    for name, data in constants.items():
        values[name] = dataclasses.replace(values[name], data=data.astype(values[name].data.dtype))
    return dataclasses.replace(graph, values=values)
