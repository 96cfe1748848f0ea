"""Float graph plus ranges → integer graph. Scales, zero points, weights and biases are set here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, Node, QuantParams, TensorType
from smidgen.numerics.affine import quantize, round_half_away
from smidgen.ops import QuantRule, Role, get_op
from smidgen.transforms.quantize.observers import Range
from smidgen.transforms.quantize.policy import why_not_int8
from smidgen.transforms.quantize.recipe import Recipe

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

# Accumulators are int32; a bias must leave room for the products.
_BIAS_LIMIT = 2.0**30


def activation_params(low: float, high: float) -> QuantParams:
    """int8 parameters for a range: 0 is representable exactly, 256 levels are used.

    Example:
        >>> activation_params(0.0, 255.0)
        QuantParams(scales=(1.0,), zero_points=(-128,), axis=None)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    if scale < 1e-30:  # nothing but zeros was seen: any scale represents them
        return QuantParams.per_tensor(1 / 255, -128 if low == 0 else 0)
    zero_point = round(-128 - low / scale)
    return QuantParams.per_tensor(scale, max(-128, min(127, zero_point)))


def weight_params(weights: Array, axis: int | None) -> QuantParams:
    """Symmetric int8 parameters: the largest magnitude (of each channel) becomes 127."""
    if axis is None:
        largest = np.abs(weights).max(initial=0.0)
        return QuantParams.per_tensor(float(largest) / 127 if largest > 0 else 1.0)
    others = tuple(i for i in range(weights.ndim) if i != axis)
    magnitude = np.abs(weights).max(axis=others, initial=0.0)
    # A channel of zeros takes its neighbours' scale: its bias must still be expressible.
    usual = float(np.median(magnitude[magnitude > 0])) if (magnitude > 0).any() else 127.0
    return QuantParams.per_channel(np.where(magnitude > 1e-30, magnitude, usual) / 127, axis)


def convert(graph: Graph, ranges: Mapping[str, Range], recipe: Recipe) -> Graph:
    """The integer graph.

    Values keep their names, so that layers can be compared with the float graph's.

    Args:
        graph: a float graph, batch norms folded.
        ranges: of every float activation, from `calibrate`.
        recipe: which nodes are quantized and how.

    Returns:
        The quantized graph.
    """
    return _Converter(graph, ranges, recipe).run()


class _Converter:
    def __init__(self, graph: Graph, ranges: Mapping[str, Range], recipe: Recipe) -> None:
        self.graph = graph
        self.recipe = recipe
        self.chosen = {
            node.outputs[0]
            for node in graph.nodes
            if recipe.rule(node).dtype == "int8" and why_not_int8(graph, node) is None
        }
        self.params = self._activation_params(ranges)
        self.builder = GraphBuilder(graph.name)
        self.integer: dict[str, str] = {}  # name of the int8 form of a value, once there is one
        self.real: dict[str, str] = {}  # and of its float form

    def _rule(self, node: Node) -> QuantRule:
        op: Op = node.op  # type: ignore[assignment]
        return op.quant_rule(*self.graph.types(node.inputs))

    def _activation_params(self, ranges: Mapping[str, Range]) -> dict[str, QuantParams]:
        """Parameters of every activation that some int8 node touches; ties share theirs."""
        group: dict[str, str] = {}

        def find(name: str) -> str:
            group.setdefault(name, name)
            while group[name] != name:
                group[name] = group[group[name]]
                name = group[name]
            return name

        fixed: dict[str, QuantParams] = {}
        constants: dict[str, Array] = {}
        for node in self.graph.nodes:
            if node.outputs[0] not in self.chosen:
                continue
            rule = self._rule(node)
            for role, name in zip(rule.roles, node.inputs, strict=False):
                if name is not None and role is Role.ACTIVATION:
                    find(name)
                    array = self.graph.data(name)
                    if array is not None:
                        constants[name] = array
            for name in node.outputs:
                find(name)
            for tie in rule.ties:
                tied = [node.outputs[~i] if i < 0 else node.inputs[i] for i in tie]
                present = [n for n in tied if n is not None]
                for name in present[1:]:
                    group[find(name)] = find(present[0])
            if rule.output and "int8" in rule.output:
                fixed[node.outputs[0]] = rule.output["int8"]
        members: dict[str, list[str]] = {}
        for name in group:
            members.setdefault(find(name), []).append(name)
        params: dict[str, QuantParams] = {}
        for group_names in members.values():
            given = [fixed[n] for n in group_names if n in fixed]
            seen = [ranges[n] for n in group_names if n in ranges]
            data = [constants[n] for n in group_names if n in constants]
            seen += [(float(c.min()), float(c.max())) for c in data]
            low = min((r[0] for r in seen), default=0.0)
            high = max((r[1] for r in seen), default=0.0)
            for name in group_names:
                params[name] = given[0] if given else activation_params(low, high)
        return params

    def run(self) -> Graph:
        graph, builder = self.graph, self.builder
        for name in graph.inputs:
            type = graph.type(name)
            first = name in graph.channels_first
            if name in self.params and not self.recipe.float_io:
                quantized = TensorType(type.shape, "int8", self.params[name])
                self.integer[name] = builder.input(name, quantized, channels_first=first)
            else:
                self.real[name] = builder.input(name, type, channels_first=first)
        for node in graph.nodes:
            if node.outputs[0] in self.chosen:
                self._quantized(node)
            else:
                self._float(node)
        outputs = []
        for name in graph.outputs:
            if name in self.integer and not self.recipe.float_io:
                outputs.append(self.integer[name])
            else:
                outputs.append(self._real(name))
        return builder.build(outputs)

    def _integer(self, name: str) -> str:
        """The int8 form of a value, made by QUANTIZE if there is none yet."""
        if name not in self.integer:
            data, params = self.graph.data(name), self.params[name]
            if data is not None:
                q = quantize(data, params.scale, params.zero_point, "int8")
                self.integer[name] = self.builder.constant(q, name=name, quant=params)
            else:
                op = get_op("QUANTIZE")(dtype="int8")  # type: ignore[call-arg]
                self.integer[name] = self.builder.add(
                    op, [self._real(name)], quant=params, outputs=[f"{name}_int8"]
                )
        return self.integer[name]

    def _real(self, name: str) -> str:
        """The float form of a value, made by DEQUANTIZE if there is none yet."""
        if name not in self.real:
            data = self.graph.data(name)
            if data is not None:
                dtype = self.graph.type(name).dtype
                self.real[name] = self.builder.constant(data, name=name, dtype=dtype)
            else:
                self.real[name] = self.builder.add(
                    get_op("DEQUANTIZE")(), [self.integer[name]], outputs=[f"{name}_float"]
                )
        return self.real[name]

    def _float(self, node: Node) -> None:
        inputs = [None if n is None else self._real(n) for n in node.inputs]
        names = self.builder.add_multi(node.op, inputs, name=node.name, outputs=list(node.outputs))
        self.real.update(zip(node.outputs, names, strict=True))

    def _quantized(self, node: Node) -> None:
        rule = self._rule(node)
        inputs: list[str | None] = list(node.inputs)
        weights: QuantParams | None = None
        for i, (role, name) in enumerate(zip(rule.roles, node.inputs, strict=False)):
            if name is None:
                continue
            if role is Role.ACTIVATION:
                inputs[i] = self._integer(name)
            elif role is Role.INDEX:
                inputs[i] = self._real(name)
            elif role is Role.WEIGHT:
                inputs[i], weights = self._weights(node, rule, name)
        for i, (role, name) in enumerate(zip(rule.roles, node.inputs, strict=False)):
            if role is Role.BIAS and name is not None:
                assert weights is not None
                inputs[i] = self._bias(node, name, weights)
        names = self.builder.add_multi(
            node.op,
            inputs,
            name=node.name,
            quant=tuple(self.params[n] for n in node.outputs),
            outputs=list(node.outputs),
        )
        self.integer.update(zip(node.outputs, names, strict=True))

    def _weights(self, node: Node, rule: QuantRule, name: str) -> tuple[str, QuantParams]:
        data = self.graph.data(name)
        assert data is not None
        per_channel = self.recipe.rule(node).weights == "per-channel"
        params = weight_params(data, rule.weight_axis if per_channel else None)
        params = self._room_for_bias(node, rule, params)
        scales = np.asarray(params.scales)
        if params.axis is not None:
            shape = [1] * data.ndim
            shape[params.axis] = -1
            scales = scales.reshape(shape)
        q = np.clip(round_half_away(data.astype(np.float64) / scales), -127, 127)
        return self.builder.constant(q.astype(np.int8), name=name, quant=params), params

    def _room_for_bias(self, node: Node, rule: QuantRule, params: QuantParams) -> QuantParams:
        """Widen the scale of a channel whose bias would overflow int32 otherwise."""
        biases = [n for r, n in zip(rule.roles, node.inputs, strict=False) if r is Role.BIAS and n]
        source = node.inputs[0]
        if not biases or source is None:
            return params
        bias = self.graph.data(biases[0])
        assert bias is not None
        needed = np.abs(bias.astype(np.float64)) / (self.params[source].scale * _BIAS_LIMIT)
        if params.axis is None:
            needed = np.array([needed.max(initial=0.0)])
        scales = np.maximum(np.asarray(params.scales), needed)
        return dataclasses.replace(params, scales=tuple(scales))

    def _bias(self, node: Node, name: str, weights: QuantParams) -> str:
        data, source = self.graph.data(name), node.inputs[0]
        assert data is not None and source is not None
        scales = self.params[source].scale * np.asarray(weights.scales, np.float64)
        q = round_half_away(data.astype(np.float64) / scales)
        params = (
            QuantParams.per_tensor(float(scales[0]))
            if weights.axis is None
            else QuantParams.per_channel(scales, 0)
        )
        return self.builder.constant(q.astype(np.int32), name=name, quant=params)
