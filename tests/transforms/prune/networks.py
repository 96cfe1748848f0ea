"""Random networks of the kind that is pruned: convolutions that residuals, concatenations, splits,
depthwise and grouped layers and squeeze-and-excite blocks tie to each other."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.lowering import GruCell, Lowering, LstmCell, RnnCell, run
from smidgen.frontends.lowering.movement import reshape
from smidgen.frontends.lowering.site import Operand
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op


class Network:
    """A network that grows block by block."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = GraphBuilder("random")
        size = int(self.rng.integers(6, 11))
        self.x = self.b.input("x", TensorType((1, size, size, 3), "float32"))

    def weights(self, *shape: int) -> str:
        scale = 1.0 / np.sqrt(max(1, np.prod(shape[1:])))
        return self.b.constant(self.rng.normal(0, scale, shape).astype(np.float32), name="w")

    def channels(self, x: str) -> int:
        return self.b.type(x).shape[-1]

    def some(self) -> int:
        return int(self.rng.choice((4, 6, 8, 12)))

    def conv(self, x: str, channels: int, kernel: int = 3, groups: int = 1) -> str:
        w = self.weights(channels, kernel, kernel, self.channels(x) // groups)
        operands = [x, w, self.weights(channels)] if self.rng.random() < 0.7 else [x, w]
        return self.b.add(get_op("CONV_2D")(padding="SAME"), operands)

    def norm(self, x: str) -> str:
        c = self.channels(x)
        statistics = [
            self.rng.normal(1, 0.3, c), self.rng.normal(0, 0.3, c), self.rng.normal(0, 0.3, c),
            self.rng.uniform(0.3, 2.0, c),
        ]  # fmt: skip
        constants = [self.b.constant(s.astype(np.float32), name="bn") for s in statistics]
        return self.b.add(get_op("BATCH_NORM")(), [x, *constants])

    def relu(self, x: str) -> str:
        return self.b.add(get_op("RELU")(), [x])

    # -- blocks ----------------------------------------------------------------------------------

    def plain(self, x: str) -> str:
        return self.relu(self.norm(self.conv(x, self.some())))

    def residual(self, x: str) -> str:
        inside = self.relu(self.norm(self.conv(x, self.some())))
        return self.relu(self.b.add(get_op("ADD")(), [x, self.conv(inside, self.channels(x))]))

    def concat(self, x: str) -> str:
        parts = [self.conv(x, self.some()), self.relu(self.conv(x, self.some(), 1)), x]
        return self.b.add(get_op("CONCATENATION")(axis=3), parts[: int(self.rng.integers(2, 4))])

    def split(self, x: str) -> str:
        x = self.conv(x, 8, 1)
        first, second = self.b.add_multi(get_op("SPLIT")(axis=3, num_splits=2), [x])
        return self.b.add(get_op("CONCATENATION")(axis=3), [self.relu(self.conv(first, 4)), second])

    def depthwise(self, x: str) -> str:
        times = int(self.rng.choice((1, 1, 2)))
        w = self.b.constant(
            self.rng.normal(0, 0.3, (1, 3, 3, self.channels(x) * times)).astype(np.float32)
        )
        return self.relu(self.b.add(get_op("DEPTHWISE_CONV_2D")(padding="SAME"), [x, w]))

    def grouped(self, x: str) -> str:
        return self.relu(self.conv(self.conv(x, 8, 1), 8, groups=4))

    def excite(self, x: str) -> str:
        c, inside = self.channels(x), 4
        s = self.b.add(get_op("MEAN")(axis=(1, 2)), [x])
        s = self.relu(self.b.add(get_op("FULLY_CONNECTED")(), [s, self.weights(inside, c)]))
        s = self.b.add(get_op("FULLY_CONNECTED")(), [s, self.weights(c, inside)])
        s = self.b.add(get_op("RESHAPE")((1, 1, 1, c)), [self.b.add(get_op("LOGISTIC")(), [s])])
        return self.b.add(get_op("MUL")(), [x, s])

    def pool(self, x: str) -> str:
        if self.b.type(x).shape[1] < 4:
            return x
        return self.b.add(get_op("MAX_POOL_2D")(2, 2, 2, 2), [x])

    def build(self) -> Graph:
        """Three to six blocks, then a dense layer on the flattened or averaged image."""
        blocks = (
            self.plain, self.residual, self.concat, self.split, self.depthwise, self.grouped,
            self.excite, self.pool,
        )  # fmt: skip
        x = self.plain(self.x)
        for i in self.rng.integers(0, len(blocks), self.rng.integers(3, 7)):
            x = blocks[i](x)
        if self.rng.random() < 0.5:
            x = self.b.add(get_op("MEAN")(axis=(1, 2)), [x])
        else:
            x = self.b.add(get_op("RESHAPE")((1, self.b.type(x).size)), [x])
        x = self.relu(
            self.b.add(get_op("FULLY_CONNECTED")(), [x, self.weights(12, self.channels(x))])
        )
        return self.b.build([self.b.add(get_op("FULLY_CONNECTED")(), [x, self.weights(5, 12)])])


def network(seed: int) -> Graph:
    """The random network of a seed."""
    return Network(seed).build()


def recurrent(seed: int) -> Graph:
    """A random network of one to three recurrent layers: whole ones, unrolled ones, with states."""
    rng = np.random.default_rng(seed)
    at = Lowering(GraphBuilder("recurrent"))
    inputs = int(rng.integers(3, 6))
    x: Operand = at.builder.input("x", TensorType((1, int(rng.integers(2, 5)), inputs), "float32"))
    for layer in range(rng.integers(1, 4)):
        at.layer = f"layer{layer}"
        units, inputs = int(rng.choice((6, 8, 9))), at.shape(x)[2]
        kind, gates = [(LstmCell, 4), (GruCell, 3), (RnnCell, 1)][rng.integers(3)]
        shapes = ((gates * units, inputs), (gates * units, units), *[(gates * units,)] * 2)
        cell = kind.from_torch(*(rng.normal(0, 0.5, s).astype(np.float32) for s in shapes))
        how = {"reverse": rng.random() < 0.3, "stateful": rng.random() < 0.3}
        x = run(at, cell, x, unroll=rng.random() < 0.3, **how).sequence
    flat = reshape(at, x, (1, int(np.prod(at.shape(x)))))
    w = rng.normal(0, 0.3, (5, at.shape(flat)[1])).astype(np.float32)
    return at.builder.build([at.add("FULLY_CONNECTED", [flat, w])])
