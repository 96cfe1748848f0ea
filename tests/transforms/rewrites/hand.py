"""Small graphs by hand, and what every rule's test does with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites import Report, Rewrite, apply

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor


class Net:
    """A network with one input, in float32 or in int8 with one scale for all activations.

    Args:
        dtype: of all activations.
        image: shape of the input.
        seed: of the weights.
    """

    def __init__(
        self, dtype: str = "float32", image: tuple[int, ...] = (1, 6, 6, 3), seed: int = 0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = GraphBuilder("net")
        self.quant = None if dtype == "float32" else Q(0.1, -5)
        self.x = self.b.input("x", TensorType(image, dtype, self.quant))

    def add(self, op: str, *operands: str, name: str = "", quant: Any = None, **how: Any) -> str:
        """Any operator; its output has the network's scale unless another is given."""
        quant = self.quant and (quant or self.quant)
        return self.b.add(get_op(op)(**how), list(operands), name=name, quant=quant)

    def constant(self, *shape: int, name: str = "c") -> str:
        """A random constant operand."""
        if self.quant is None:
            return self.b.constant(self.rng.normal(0, 1, shape).astype(np.float32), name=name)
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.b.constant(data, name=name, quant=self.quant)

    def layer(self, op: str, x: str, shape: tuple[int, ...], name: str, **how: Any) -> str:
        """A convolution, depthwise or fully connected layer with weights of `shape`."""
        axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
        channels, quant = shape[axis], how.pop("quant", self.quant)
        bias = how.pop("bias", True)
        if self.quant is None:
            arrays = [self.rng.normal(0, 0.5, s).astype(np.float32) for s in (shape, channels)]
            operands = [x, *(self.b.constant(a, name=f"{name}_w") for a in arrays[: 1 + bias])]
            return self.b.add(get_op(op)(**how), operands, name=name)
        w = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = self.rng.uniform(0.001, 0.002, channels)
        w_name = self.b.constant(w, name=f"{name}_w", quant=QuantParams.per_channel(scales, axis))
        operands = [x, w_name]
        if bias:
            data = self.rng.integers(-900, 900, channels).astype(np.int32)
            b_quant = QuantParams.per_channel(0.1 * scales, 0)
            operands.append(self.b.constant(data, name=f"{name}_b", quant=b_quant))
        return self.b.add(get_op(op)(**how), operands, quant=quant, name=name)

    def conv(self, x: str, channels: int, name: str = "conv", kernel: int = 3, **how: Any) -> str:
        shape = (channels, kernel, kernel, self.b.type(x).shape[3])
        return self.layer("CONV_2D", x, shape, name, **how)

    def depthwise(self, x: str, name: str = "dw", multiplier: int = 1, **how: Any) -> str:
        shape = (1, 3, 3, self.b.type(x).shape[3] * multiplier)
        return self.layer("DEPTHWISE_CONV_2D", x, shape, name, **how)

    def build(self, *outputs: str) -> Graph:
        return self.b.build(list(outputs))


def rewritten(graph: Graph, *rules: Rewrite, tolerance: float = 0.0) -> tuple[Graph, Report]:
    """The graph after some rules, proved to compute the same from random inputs.

    Args:
        graph: any graph.
        rules: the rules.
        tolerance: relative, of float outputs; 0 means bit for bit.
    """
    result, report = apply(graph, rules)
    assert result.input_types == graph.input_types
    assert result.output_types == graph.output_types
    assert result.outputs == graph.outputs
    x = random_inputs(graph, 40)
    for rounding in ("double", "single"):
        before, after = (interpret(g, x, rounding=rounding) for g in (graph, result))
        for a, b in zip(before, after, strict=True):
            if tolerance:
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(a).max())
            else:
                assert np.array_equal(a, b)
    return result, report


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def whys(report: Report) -> list[str]:
    return [refusal.why for refusal in report.refusals]
