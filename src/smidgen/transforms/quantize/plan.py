"""Decide, before anything is changed: what becomes integer, and at which scale and zero point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smidgen.ir import Graph, Node, QuantParams, TensorType
from smidgen.numerics.affine import dtype_range
from smidgen.ops import QuantRule, Role
from smidgen.transforms.quantize.observers import Range
from smidgen.transforms.quantize.policy import integer_types, why_not_integer
from smidgen.transforms.quantize.recipe import Recipe

if TYPE_CHECKING:
    from smidgen.ops import Op


@dataclass(frozen=True)
class Group:
    """Values that share their parameters.

    Args:
        members: their names.
        low, high: the range that they take, and constants that are tied to them.
        dtype: their element type.
        power: whether their scale is to be a power of two.
        centred: whether their zero point is to be 0.
        free: whether the range alone decides on the parameters: no operator demands some, and no
            constant wants its place.
    """

    members: tuple[str, ...]
    low: float
    high: float
    dtype: str
    power: bool
    centred: bool
    free: bool

    def ends(self, low: float, high: float) -> Range:
        """The range as parameters are found for it."""
        if self.centred:  # the levels -128 to 127
            high = max(-low, high)
            low = -high * 128 / 127
        return low, high

    def params(self, low: float, high: float) -> QuantParams:
        """The parameters for a range."""
        low, high = self.ends(low, high)
        return power_params(low, high) if self.power else activation_params(low, high, self.dtype)


@dataclass(frozen=True)
class Plan:
    """What `convert` carries out.

    Args:
        nodes: the nodes that are computed in integers, by their first output.
        made: in which parameters each activation is made (or, a graph's input, given).
        tied: in which parameters operators read it that demand one scale of several operands;
            they differ from `made` only where the operator that makes the value has a scale of
            its own that does not suit the others: a QUANTIZE goes in between.
        activations: the element type of values.
        powers: those that are int16 with a power of two as their scale, whatever the others are.
        groups: of values that share their parameters; each value is in one.
    """

    nodes: frozenset[str]
    made: Mapping[str, QuantParams]
    tied: Mapping[str, QuantParams]
    activations: str
    powers: frozenset[str]
    groups: tuple[Group, ...]

    def read(self, graph: Graph, node: Node, operand: int, rule: QuantRule) -> QuantParams:
        """In which parameters a node of the float graph with this rule reads an operand."""
        name = node.inputs[operand]
        assert name is not None
        tie = next((tie for tie in rule.ties if operand in tie), None)
        if tie is None:
            return self.made[name]
        if graph.data(name) is not None:  # it can have any parameters
            name = next((n for n in _values(graph, node, tie) if n), name)
        return self.tied[name]

    def dtype(self, name: str) -> str:
        """The element type of a value, in the parameters that it is made in."""
        return "int16" if name in self.powers else self.activations


def activation_params(low: float, high: float, dtype: str = "int8") -> QuantParams:
    """Parameters for a range: 0 is representable exactly.

    int8 uses its 256 levels for the range; int16 is symmetric, as runtimes demand.

    Example:
        >>> activation_params(0.0, 255.0)
        QuantParams(scales=(1.0,), zero_points=(-128,), axis=None)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if dtype == "int16":
        scale = float(np.float32(max(-low, high) / 32767))
        return QuantParams.per_tensor(scale if scale >= 1e-30 else 1 / 32767)
    scale = float(np.float32((high - low) / 255))
    if scale < 1e-30:  # nothing but zeros was seen: any scale represents them
        return QuantParams.per_tensor(1 / 255, -128 if low == 0 else 0)
    zero_point = round(-128 - low / scale)
    return QuantParams.per_tensor(scale, max(-128, min(127, zero_point)))


def power_params(low: float, high: float) -> QuantParams:
    """int16 parameters for a range: a power of two and no zero point.

    From 2^-15 to 2^-9, where every runtime has a hyperbolic tangent; from 64 up values saturate.

    Example:
        >>> power_params(-1.0, 3.0).scale == 2.0**-13
        True
    """
    bits = math.ceil(math.log2(min(max(-low, high, 1.0), 64.0)))  # before the point
    return QuantParams.per_tensor(2.0 ** (bits - 15))


def _values(graph: Graph, node: Node, tie: tuple[int, ...]) -> list[str]:
    """What a tie ties, but for constants."""
    names = [node.outputs[~i] if i < 0 else node.inputs[i] for i in tie]
    return [name for name in names if name is not None and graph.data(name) is None]


def plan(graph: Graph, ranges: Mapping[str, Range], recipe: Recipe) -> Plan:
    """Choose the nodes that become integer and the parameters of every activation they touch.

    A node without weights whose operator does not compute with the parameters that the ranges give
    stays float, as one that has no integer kernel does.

    Args:
        graph: a float graph, simplified.
        ranges: of every float activation, from `calibrate`.
        recipe: which nodes are quantized and how.

    Returns:
        The plan.
    """
    left: set[str] = set()
    while True:
        found = _plan(graph, ranges, recipe, left)
        refused = {node.outputs[0] for node in graph.nodes if _refuses(graph, node, found)}
        if not refused:
            return found
        left |= refused


def _refuses(graph: Graph, node: Node, plan: Plan) -> bool:
    """Whether the operator of a planned node refuses the parameters that it is to have."""
    if node.outputs[0] not in plan.nodes:
        return False
    op: Op = node.op  # type: ignore[assignment]
    rule = rule_of(graph, node)
    if Role.WEIGHT in rule.roles:
        return False  # the parameters of weights are found for what the others are
    inputs = list(graph.types(node.inputs))
    for i, (role, type) in enumerate(zip(rule.roles, inputs, strict=False)):
        if role is Role.ACTIVATION and type is not None:
            dtype = "int16" if i in rule.powers else plan.activations
            inputs[i] = TensorType(type.shape, dtype, plan.read(graph, node, i, rule))
    outputs = [graph.type(name) for name in node.outputs]
    if rule.outputs is not Role.INDEX:
        outputs = [
            TensorType(type.shape, plan.dtype(name), plan.made[name])
            for name, type in zip(node.outputs, outputs, strict=True)
        ]
    try:
        op.check_quant(tuple(inputs), tuple(outputs))
    except ValueError:
        return True
    return False


def _plan(graph: Graph, ranges: Mapping[str, Range], recipe: Recipe, left: set[str]) -> Plan:
    dtype = recipe.activations
    chosen = [
        node
        for node in graph.nodes
        if recipe.rule(node).dtype == dtype
        and node.outputs[0] not in left
        and why_not_integer(graph, node, dtype) is None
    ]
    chosen = [node for node in chosen if _apart(graph, node, chosen)]
    groups = _Groups()
    demanded: dict[str, QuantParams] = {}
    held: dict[str, list[Range]] = {}  # of the constants that are tied to a value
    powers: set[str] = set()
    centred: set[str] = set()
    for node in chosen:
        rule = rule_of(graph, node)
        powers.update(_values(graph, node, rule.powers))
        centred.update(_values(graph, node, rule.centred))
        for role, name in zip(rule.roles, node.inputs, strict=False):
            if name is not None and role is Role.ACTIVATION:
                groups.add(name)
        if rule.outputs is not Role.INDEX:
            for name in node.outputs:
                groups.add(name)
        for tie in rule.ties:
            values = _values(graph, node, tie)
            groups.join(values)
            for i in tie:
                name = node.inputs[i] if i >= 0 else None
                if name is not None and values and graph.data(name) is not None:
                    held.setdefault(values[0], []).append(_range(graph, ranges, name))
        if rule.output and dtype in rule.output:
            demanded[node.outputs[0]] = rule.output[dtype]
    for state in graph.states:  # it is kept as what makes or reads it wants, in one form
        if any(groups.has(name) for name in (state.input, state.output)):
            for name in (state.input, state.output):
                groups.add(name)
            groups.join([state.input, state.output])
    made: dict[str, QuantParams] = {}
    tied: dict[str, QuantParams] = {}
    found = []
    for members in groups.all():
        seen = [_range(graph, ranges, name) for name in members]
        constants = [r for name in members for r in held.get(name, [])]
        low = min(r[0] for r in seen + constants)
        high = max(r[1] for r in seen + constants)
        power = any(name in powers for name in members)
        if power:
            powers.update(members)
        demands = {demanded[name] for name in members if name in demanded}
        group = Group(
            members=tuple(members), low=low, high=high, dtype="int16" if power else dtype,
            power=power, centred=any(name in centred for name in members),
            free=not (demands or constants or power),
        )  # fmt: skip
        found.append(group)
        shared = group.params(low, high)
        if len(demands) == 1 and _covers(next(iter(demands)), *group.ends(low, high), dtype):
            shared = demands.pop()
        tied.update(dict.fromkeys(members, shared))
        made.update({name: demanded.get(name, shared) for name in members})
    nodes = frozenset(node.outputs[0] for node in chosen)
    return Plan(nodes, made, tied, dtype, frozenset(powers), tuple(found))


def _apart(graph: Graph, node: Node, chosen: list[Node]) -> bool:
    """Whether no other integer operator reads a value that this one makes as int16."""
    for name in _values(graph, node, rule_of(graph, node).powers):
        for reader in graph.consumers[name]:
            if reader is not node and reader in chosen:
                return False
    return True


def rule_of(graph: Graph, node: Node, weights: str | None = None) -> QuantRule:
    """How the node's operands are quantized, if its weights become `weights`, "int8" or "int4"."""
    op: Op = node.op  # type: ignore[assignment]
    types = graph.types(node.inputs)
    return op.quant_rule(*(types if weights is None else integer_types(op, types, weights)))


def _range(graph: Graph, ranges: Mapping[str, Range], name: str) -> Range:
    data = graph.data(name)
    if data is None:
        return ranges[name]
    return float(data.min(initial=0.0)), float(data.max(initial=0.0))


def _covers(quant: QuantParams, low: float, high: float, dtype: str) -> bool:
    """Whether a range can be expressed, but for one level at its ends."""
    least, most = dtype_range(dtype)
    first, last = ((q - quant.zero_point) * quant.scale for q in (least - 1, most + 1))
    return first <= low and high <= last


class _Groups:
    """Values that share their parameters (disjoint sets)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, name: str) -> None:
        """A value, alone unless it is known already."""
        self._parent.setdefault(name, name)

    def has(self, name: str) -> bool:
        """Whether the value is in some group."""
        return name in self._parent

    def join(self, names: list[str]) -> None:
        """Make one group of the groups of several values."""
        for name in names[1:]:
            self._parent[self._root(name)] = self._root(names[0])

    def all(self) -> list[list[str]]:
        """The members of each group."""
        groups: dict[str, list[str]] = {}
        for name in self._parent:
            groups.setdefault(self._root(name), []).append(name)
        return list(groups.values())

    def _root(self, name: str) -> str:
        while (parent := self._parent[name]) != name:
            self._parent[name] = self._parent[parent]  # shorter for the next one who asks
            name = parent
        return name
