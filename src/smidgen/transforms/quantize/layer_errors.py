"""Where accuracy is lost: the signal-to-noise ratio of every layer, worst first, with a cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.data import decode, encode
from smidgen.interpreter import interpret
from smidgen.ir import Graph, Node, Value
from smidgen.numerics.affine import dtype_range
from smidgen.ops import Role
from smidgen.transforms.quantize.convert import FEW_STEPS
from smidgen.transforms.quantize.plan import rule_of

Array = np.ndarray[Any, Any]

# A value so many times the median makes the scale coarse for all the others.
_OUTLIER = 50
# So much wider than the values a range may be (they differ from those of calibration).
_WIDE = 2


@dataclass(frozen=True)
class LayerError:
    """How far one layer of the integer graph is from the float graph.

    Args:
        layer: the node's label.
        value: the name of its output.
        snr_db: signal power over error power at this point of the whole integer model, in dB.
        own_snr_db: the same when the layer is given the float graph's inputs (rounded): what the
            layer itself adds.
        clipped: fraction of values beyond the range of the output.
        cause: the likely reason, in words.
    """

    layer: str
    value: str
    snr_db: float
    own_snr_db: float
    clipped: float
    cause: str


def layer_errors(
    float_graph: Graph, graph: Graph, samples: list[Array], *, stream: bool = False
) -> list[LayerError]:
    """Compare every layer of an integer graph with the float graph it came from.

    Args:
        float_graph: the float graph (see `prepare`).
        graph: the integer graph, whose results have the same names.
        samples: float samples, one array (n, ...) for each input of the float graph; a few dozen
            say enough, and every activation of all of them is held.
        stream: whether they are consecutive steps of a model with states.

    Returns:
        One entry for each integer layer, the lowest own signal-to-noise ratio first.

    Example:
        >>> from smidgen.transforms.quantize import prepare
        >>> worst = layer_errors(prepare(model), int8, [images])[0]
        >>> worst.layer, worst.cause
        ("...", '...')
    """
    real: dict[str, Array] = {}
    interpret(float_graph, samples, observe=real.__setitem__, stream=stream)
    inputs = [encode(graph.type(n), s) for n, s in zip(graph.inputs, samples, strict=True)]
    got: dict[str, Array] = {}
    interpret(graph, inputs, observe=got.__setitem__, stream=stream)
    found = []
    for node in graph.nodes:
        name = node.outputs[0]
        if graph.type(name).quant is not None and name in float_graph.producers:
            layer = _Layer(float_graph, graph, node, real)
            own = snr_db(real[name], layer.integer_output())
            whole = snr_db(real[name], decode(graph.type(name), got[name]))
            clipped = float(layer.beyond().mean())
            cause = layer.cause(inherited=whole < own - 6)
            found.append(LayerError(node.label, name, whole, own, clipped, cause))
    return sorted(found, key=lambda e: e.own_snr_db)


def snr_db(signal: Array, noisy: Array) -> float:
    """Signal power over error power in dB; 200 stands for no error at all.

    Example:
        >>> round(snr_db(np.ones(4), np.ones(4) * 1.1))
        20
    """
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    error = float(np.mean(np.square(signal - noisy, dtype=np.float64)))
    if error == 0:
        return 200.0
    return float(10 * np.log10(max(power, 1e-30) / error))


class _Layer:
    """One layer by itself: the float graph's operands, rounded or not, and what comes of them."""

    def __init__(
        self, float_graph: Graph, graph: Graph, node: Node, real: Mapping[str, Array]
    ) -> None:
        self.graph, self.node, self.type = graph, node, graph.type(node.outputs[0])
        self.float_graph, self.float_node = float_graph, float_graph.producers[node.outputs[0]]
        self.real = real
        self.signal = real[node.outputs[0]]

    def integer_output(self) -> Array:
        """The real numbers that the integer layer gives for the float graph's operands."""
        operands = {
            name: encode(self.graph.type(name), self.real[float_name])
            for float_name, name in self._operands()
            if self.graph.data(name) is None
        }
        return decode(self.type, _run(self.graph, self.node, operands))

    def beyond(self) -> Array:
        """Which values of the float result the integers cannot reach, by more than rounding."""
        assert self.type.quant is not None
        scale, zero_point = self.type.quant.scale, self.type.quant.zero_point
        least, most = dtype_range(self.type.dtype)
        low, high = (least - zero_point - 0.5) * scale, (most - zero_point + 0.5) * scale
        beyond: Array = (self.signal < low) | (self.signal > high)
        return beyond

    def cause(self, inherited: bool) -> str:
        """Why the layer errs: whichever of the things that are done to it does most, alone."""
        beyond = self.beyond()
        squares = np.square(self.signal - decode(self.type, encode(self.type, self.signal)))
        clipping = float(np.sum(squares, where=beyond)) / squares.size
        rounding = float(np.sum(squares, where=~beyond)) / squares.size
        weights = self._error_of(constants=True)
        operands = self._error_of(constants=False)
        largest = max(clipping, rounding, weights, operands)
        if not largest:
            return "exact" if not inherited else "error inherited from the layers before"
        if largest == clipping:
            return f"{beyond.mean():.1%} of the values lie beyond the calibrated range"
        if largest == weights:
            return self._weights_cause()
        magnitude = np.abs(self.signal)
        typical = float(np.median(magnitude[magnitude > 0])) if magnitude.any() else 0.0
        if largest == rounding and magnitude.max() > _OUTLIER * typical:
            ratio = magnitude.max() / typical
            return f"outliers: the largest value is {ratio:.0f} times the median"
        needed = max(0.0, float(self.signal.max())) - min(0.0, float(self.signal.min()))
        if largest == rounding and needed * _WIDE < self._width():
            ratio = self._width() / needed
            return f"a range {ratio:.1f} times what it needs, shared with its operands or readers"
        if inherited:
            return "error inherited from the layers before"
        least, most = dtype_range(self.type.dtype)
        levels = f"rounding to {most - least + 1} levels"
        return levels if largest == rounding else "rounding of its operands"

    def _width(self) -> float:
        """How wide the range of the output is; int16 is symmetric, so half of it may be idle."""
        assert self.type.quant is not None
        return {"int16": 32767}.get(self.type.dtype, 255) * self.type.quant.scale

    def _weights_cause(self) -> str:
        """What is wrong with the weights, once it is known that they are to blame."""
        rule = rule_of(self.graph, self.node)
        for role, name in zip(rule.roles, self.node.inputs, strict=False):
            data, type = self.graph.data(name), self.graph.type(name or "")
            if role is Role.WEIGHT and data is not None and rule.weight_axis is not None:
                others = tuple(i for i in range(data.ndim) if i != rule.weight_axis)
                largest = np.abs(data.astype(np.int64)).max(axis=others)
                if type.quant is not None and type.quant.axis is None and largest.min() < FEW_STEPS:
                    return "one weight scale for channels of very different size; use per-channel"
        return "rounding of the weights"

    def _error_of(self, constants: bool) -> float:
        """Mean squared error of the float layer with rounded constants, or rounded operands."""
        values: dict[str, Array] = {}
        for float_name, name in self._operands():
            data, type = self.float_graph.data(float_name), self.graph.type(name)
            array = self.real[float_name] if data is None else data
            if type.quant is not None and constants == (data is not None):
                array = _rounded(self.graph.values[name], array)
            values[float_name] = array
        got = _run(self.float_graph, self.float_node, values)
        return float(np.mean(np.square(got - self.signal)))

    def _operands(self) -> list[tuple[str, str]]:
        """The operands' names in the float graph and in the integer graph."""
        pairs = zip(self.float_node.inputs, self.node.inputs, strict=True)
        return [(a, b) for a, b in pairs if a is not None and b is not None]


def _rounded(value: Value, real: Array) -> Array:
    """What is left of real numbers in the tensor of an operand."""
    elements = encode(value.type, real) if value.data is None else value.data
    return decode(value.type, elements)


def _run(graph: Graph, node: Node, operands: Mapping[str, Array]) -> Array:
    """The first result of one node for n samples of its operands; constants may be replaced."""
    values = {n: graph.values[n] for n in (*node.inputs, *node.outputs) if n is not None}
    inputs = [n for n, value in values.items() if n in operands and not value.is_constant]
    for name in operands:
        if values[name].is_constant:
            values[name] = dataclasses.replace(values[name], data=operands[name])
    alone = Graph(graph.name, tuple(inputs), node.outputs[:1], values, (node,))
    return interpret(alone, [operands[name] for name in inputs])[0]
