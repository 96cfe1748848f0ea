"""Carry a plan out: float graph → integer graph, with integer weights, biases and constants."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from smidgen.errors import GraphError, RecipeError
from smidgen.ir import Graph, GraphBuilder, Node, QuantParams, State, TensorType, numpy_dtype
from smidgen.numerics.affine import quantize, round_half_away
from smidgen.ops import QuantRule, Role, get_op
from smidgen.transforms.quantize.observers import Range
from smidgen.transforms.quantize.plan import plan, rule_of
from smidgen.transforms.quantize.policy import BIAS_DTYPES, weight_dtype
from smidgen.transforms.quantize.recipe import Recipe
from smidgen.transforms.quantize.weight_scales import least_squares_scales

Array = np.ndarray[Any, Any]

# Weights are symmetric: what the runtimes ask of int8, and converters do with int4 too.
LIMITS = {"int8": 127, "int4": 7}
# Accumulators are int32, those of int16 activations 48 bits; a bias must leave room for products.
BIAS_LIMITS = {"int32": 2**30, "int64": 2**46}
# The product of two scales must be a float32 number, and not a denormal one.
_SMALLEST_SCALE = 1.2e-38
_NEGLIGIBLE = 1e-30
# A channel whose largest weight takes fewer steps than this is hardly there any more.
FEW_STEPS = 8


Learned = Mapping[tuple[str, int], QuantParams]
"""Parameters of weights that training found, by a node's first result and the operand."""


def convert(
    graph: Graph,
    ranges: Mapping[str, Range],
    recipe: Recipe,
    learned: Learned = MappingProxyType({}),
) -> Graph:
    """The integer graph.

    Results keep their names, so that layers can be compared with the float graph's.

    Args:
        graph: a float graph, simplified.
        ranges: of every float activation, from `calibrate`.
        recipe: which nodes are quantized and how.
        learned: parameters of weights; those of others follow from the weights.

    Returns:
        The quantized graph.

    Raises:
        RecipeError: if an operator cannot compute with the scales that the ranges give.
    """
    return _Converter(graph, ranges, recipe, learned).run()


def weight_params(weights: Array, axis: int | None, limit: int = 127) -> QuantParams:
    """Symmetric parameters: the largest magnitude (of each channel) becomes `limit`.

    Args:
        weights: float32.
        axis: the channel axis; None gives one scale for the whole tensor.
        limit: of the integers' magnitude.

    Example:
        >>> weight_params(np.array([[0.5, -127], [0, 254]]), 0).scales
        (1.0, 2.0)
    """
    others = tuple(i for i in range(weights.ndim) if axis is not None and i != axis)
    magnitude = np.abs(weights).max(axis=others or None, initial=0.0)
    # A channel of zeros takes a usual scale: its bias must still be expressible.
    present = magnitude[magnitude > _NEGLIGIBLE]
    usual = float(np.median(present)) if present.size else float(limit)
    scales = np.where(magnitude > _NEGLIGIBLE, magnitude, usual) / limit
    if axis is None:
        return QuantParams.per_tensor(float(scales))
    return QuantParams.per_channel(np.atleast_1d(scales), axis)


def _uneven(weights: Array, axis: int) -> bool:
    """Whether one scale leaves the ordinary channel hardly any of its steps."""
    largest = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)).max(axis=1)
    return bool(np.median(largest) * 127 < FEW_STEPS * largest.max())


class _Converter:
    def __init__(
        self, graph: Graph, ranges: Mapping[str, Range], recipe: Recipe, learned: Learned
    ) -> None:
        self.graph = graph
        self.recipe = recipe
        self.learned = learned
        self.plan = plan(graph, ranges, recipe)
        self.dtype = recipe.activations
        self.bias_dtype = BIAS_DTYPES[self.dtype]
        self.builder = GraphBuilder(graph.name)
        # The forms that a value has so far, each under a name of the new graph.
        self.real: dict[str, str] = {}
        self.integer: dict[tuple[str, QuantParams], str] = {}

    def run(self) -> Graph:
        graph, float_io = self.graph, self.recipe.float_io
        for name in graph.inputs:
            type, first = graph.type(name), name in graph.channels_first
            if name in self.plan.made and not float_io:
                params = self.plan.made[name]
                quantized = TensorType(type.shape, self.plan.dtype(name), params)
                made = self.builder.input(name, quantized, channels_first=first)
                self.integer[name, params] = made
            else:
                self.real[name] = self.builder.input(name, type, channels_first=first)
        held = [self._state(state) for state in graph.states]
        for node in graph.nodes:
            if node.outputs[0] in self.plan.nodes:
                self._integer_node(node)
            else:
                self._float_node(node)
        for state, value in zip(graph.states, held, strict=True):
            quant = self.plan.made.get(state.input)
            if quant is None:
                becomes = self._real(state.output)
            else:
                becomes = self._integer(state.output, quant, self.plan.dtype(state.input))
            self.builder.becomes(value, becomes)
        outputs = []
        for name in graph.outputs:
            integer = None
            if name in self.plan.made and not float_io:
                integer = self.integer.get((name, self.plan.made[name]))
            outputs.append(integer or self._real(name))
        try:
            pairs = zip(graph.outputs, outputs, strict=True)
            moved = [new for old, new in pairs if old in graph.channels_first]
            return self.builder.build(outputs, channels_first=moved)
        except GraphError as error:
            raise RecipeError(
                f"the ranges found make scales that do not work ({error})",
                hint="leave that layer in float32 with a Rule, or scale the data",
            ) from error

    def _state(self, state: State) -> str:
        """Declare a state in the form that its readers or its maker take."""
        type, quant, initial = self.graph.type(state.input), None, state.initial
        if state.input in self.plan.made:
            quant, dtype = self.plan.made[state.input], self.plan.dtype(state.input)
            type = TensorType(type.shape, dtype, quant)
            initial = quantize(initial, quant.scale, quant.zero_point, dtype)
        value = self.builder.state(state.name, type, initial, shared=state.shared)
        if quant is None:
            self.real[state.input] = value
        else:
            self.integer[state.input, quant] = value
        return value

    def _integer_node(self, node: Node) -> None:
        dtype = weight_dtype(self.graph, node, self.recipe.rule(node).weight_dtype)
        rule = rule_of(self.graph, node, dtype)
        inputs: list[str | None] = list(node.inputs)
        weights: dict[int, QuantParams] = {}
        for i, (role, name) in enumerate(zip(rule.roles, node.inputs, strict=False)):
            if name is None:
                continue
            if role is Role.ACTIVATION:
                params = self.plan.read(self.graph, node, i, rule)
                inputs[i] = self._integer(name, params, "int16" if i in rule.powers else self.dtype)
            elif role is Role.INDEX:
                inputs[i] = self._real(name)
            elif role is Role.WEIGHT:
                weights[i] = self._weight_params(node, rule, i, dtype)
                inputs[i] = self._symmetric(name, weights[i], dtype, LIMITS[dtype])
            else:  # operators name their weights before their bias
                params = self._bias_params(node, rule, i, weights[rule.product(i)[1]])
                limit = BIAS_LIMITS[self.bias_dtype]
                inputs[i] = self._symmetric(name, params, self.bias_dtype, limit)
        if rule.outputs is Role.INDEX:
            self.real.update(zip(node.outputs, self._add(node, inputs, None), strict=True))
            return
        quants = tuple(self.plan.made[name] for name in node.outputs)
        names = self._add(node, inputs, quants)
        for name, made, quant in zip(node.outputs, names, quants, strict=True):
            self.integer[name, quant] = made

    def _float_node(self, node: Node) -> None:
        names = self._add(node, [None if n is None else self._real(n) for n in node.inputs], None)
        self.real.update(zip(node.outputs, names, strict=True))

    def _add(
        self,
        node: Node,
        inputs: list[str | None],
        quants: tuple[QuantParams, ...] | None,
    ) -> tuple[str, ...]:
        outputs = list(node.outputs)
        return self.builder.add_multi(
            node.op, inputs, name=node.name, quant=quants, outputs=outputs
        )

    # -- the forms of a value ------------------------------------------------------------------

    def _integer(self, name: str, params: QuantParams, dtype: str) -> str:
        """An activation in given parameters, made by QUANTIZE if it is not there yet."""
        key = (name, params)
        data = self.graph.data(name)
        if key in self.integer:
            pass
        elif data is not None:
            q = quantize(data, params.scale, params.zero_point, dtype)
            self.integer[key] = self.builder.constant(
                q, name=self._constant_name(name), quant=params
            )
        else:
            made = self.integer.get((name, self.plan.made[name])) or self._real(name)
            op = get_op("QUANTIZE")(dtype)  # type: ignore[call-arg]
            output = self._fresh(f"{name}_{dtype}")
            self.integer[key] = self.builder.add(op, [made], quant=params, outputs=[output])
        return self.integer[key]

    def _real(self, name: str) -> str:
        """The float form of a value, made by DEQUANTIZE if it is not there yet."""
        if name not in self.real:
            data = self.graph.data(name)
            if data is not None:
                self.real[name] = self.builder.constant(
                    data, name=self._constant_name(name), dtype=self.graph.type(name).dtype
                )
            else:
                made = self.integer[name, self.plan.made[name]]
                output = self._fresh(f"{name}_float")
                self.real[name] = self.builder.add(get_op("DEQUANTIZE")(), [made], outputs=[output])
        return self.real[name]

    # -- weights ---------------------------------------------------------------------------------

    def _weight_params(self, node: Node, rule: QuantRule, operand: int, dtype: str) -> QuantParams:
        """Parameters that fit the weights and leave room for the bias of each channel."""
        data = self.graph.data(node.inputs[operand])
        assert data is not None
        params = self.learned.get((node.outputs[0], operand))
        if params is None:
            axis = self._weight_axis(node, rule, data, dtype)
            params = weight_params(data, axis, LIMITS[dtype])
            if dtype == "int4":
                scales = least_squares_scales(data, params.scales, params.axis, LIMITS[dtype])
                params = dataclasses.replace(params, scales=tuple(scales))
        source = self._input_scale(node, rule, operand)
        needed = np.array([_SMALLEST_SCALE / source])
        place = rule.product(operand)[2]
        bias = None
        if place is not None and place < len(node.inputs):
            bias = self.graph.data(node.inputs[place])
        if bias is not None:
            limit = BIAS_LIMITS[self.bias_dtype]
            needed = np.maximum(needed, np.abs(bias.astype(np.float64)) / source / limit)
        if params.axis is None:
            needed = needed.max(keepdims=True)
        return dataclasses.replace(params, scales=tuple(np.maximum(params.scales, needed)))

    def _weight_axis(self, node: Node, rule: QuantRule, weights: Array, dtype: str) -> int | None:
        """The axis with a scale for each channel; None for one scale."""
        wanted, axis = self.recipe.rule(node).weights, rule.weight_axis
        # With the few steps of int4 every channel needs its own.
        if wanted == "auto" and axis is not None and dtype == "int8" and not rule.per_channel:
            wanted = "per-channel" if _uneven(weights, axis) else "per-tensor"
        return None if wanted == "per-tensor" else axis

    def _bias_params(
        self, node: Node, rule: QuantRule, operand: int, weights: QuantParams
    ) -> QuantParams:
        """A bias counts in the steps of the sums that it is added to."""
        steps = self._input_scale(node, rule, operand) * np.asarray(weights.scales)
        if weights.axis is None:
            return QuantParams.per_tensor(float(steps[0]))
        return QuantParams.per_channel(steps, 0)

    def _symmetric(self, name: str, params: QuantParams, dtype: str, limit: int) -> str:
        """Weights or a bias in given parameters."""
        key = (name, params)
        if key not in self.integer:
            data = self.graph.data(name)
            assert data is not None
            stored = numpy_dtype(dtype)
            shape = [1] * data.ndim
            shape[params.axis or 0] = -1  # one scale, or one for each channel
            q = round_half_away(data / np.asarray(params.scales).reshape(shape))
            self.integer[key] = self.builder.constant(
                np.clip(q, -limit, limit).astype(stored),
                name=self._constant_name(name),
                quant=params,
                dtype=dtype,
            )
        return self.integer[key]

    def _input_scale(self, node: Node, rule: QuantRule, operand: int) -> float:
        """The scale of what the weights that an operand belongs to are multiplied with."""
        return self.plan.read(self.graph, node, rule.product(operand)[0], rule).scale

    # -- names -----------------------------------------------------------------------------------

    def _fresh(self, hint: str) -> str:
        """A name that neither graph has."""
        name, count = hint, 1
        while name in self.graph.values or self.builder.fresh(name) != name:
            name, count = f"{hint}_{count}", count + 1
        return name

    def _constant_name(self, name: str) -> str:
        """The constant's own name for its first form, a new one for others."""
        return name if self.builder.fresh(name) == name else self._fresh(name)
