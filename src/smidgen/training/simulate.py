"""A float graph that computes what the integer graph made of it computes, and can be trained.

Each value that the integer graph holds in integers goes through a hook that gives it the
parameters of the plan, the one that `convert` carries out. Nothing here knows an operator: what
shares a scale, which operand is a weight, what an operator demands is what they and the plan say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from smidgen.data import decode
from smidgen.ir import Graph, Node, QuantParams
from smidgen.numerics.affine import round_half_away
from smidgen.ops import QuantRule, Role
from smidgen.training.fake_quant import (
    FakeQuant,
    FakeQuantBias,
    FakeQuantConstant,
    FakeQuantScaledSum,
    FakeQuantSums,
    FakeQuantTied,
    FakeQuantWeight,
    Range,
    Scaled,
)
from smidgen.training.module import GraphModule
from smidgen.training.sparsify import hold_zeros
from smidgen.transforms.quantize import PostTraining
from smidgen.transforms.quantize.convert import BIAS_LIMITS, LIMITS, convert
from smidgen.transforms.quantize.plan import plan, rule_of

Array = np.ndarray[Any, Any]

_NEAR = 0.45  # of a step: how far from the middle of its step a weight starts at most

# How many deviations of a value its range spans, about: a bias is as large as one of them.
_SPREAD = 8


class Simulation:
    """A graph module with fake-quant hooks, and what it takes to make an integer graph of it.

    Args:
        start: what post-training quantization found. The module starts with its weights.

    Example:
        >>> from smidgen.transforms.quantize import post_training
        >>> simulation = Simulation(post_training(model, data, "int8"))
        >>> simulation.to_graph().is_quantized
        True
    """

    def __init__(self, start: PostTraining) -> None:
        self.start = start
        self.graph = graph = start.graph
        self.module = GraphModule(graph)
        hold_zeros(self.module)
        self.plan = plan(graph, start.ranges, start.recipe)
        self.weights: dict[tuple[str, int], FakeQuantWeight] = {}
        self._shared: dict[tuple[str, QuantParams], FakeQuantWeight] = {}
        self.units: dict[str, Array] = {}
        self.made: dict[str, Range] = {}
        self.tied: dict[str, Range] = {}
        for group in self.plan.groups:
            learned = group.free and not any(name in graph.inputs for name in group.members)
            learned = learned and not any(graph.data(n) is not None for n in group.members)
            shared = Range(group, self.plan.tied[group.members[0]], learned=learned)
            for name in group.members:
                made = self.plan.made[name]
                same = made == shared.fixed
                self.tied[name] = shared
                self.made[name] = shared if same else Range(group, made, learned=False)
        self.hooked: set[str] = set()
        if not start.recipe.float_io:
            for name in graph.inputs:
                if name in self.made:
                    self._make(name, FakeQuant(self.made[name]))
        for node in graph.nodes:
            if node.outputs[0] in self.plan.nodes:
                self._read(node)

    def to_graph(self) -> Graph:
        """The integer graph."""
        ranges = dict(self.start.ranges)
        for range in self.made.values():
            if range.ends is not None:
                ranges.update(dict.fromkeys(range.group.members, range.limits()))
        learned = {place: hook.params() for place, hook in self.weights.items()}
        return convert(self.module.to_graph(), ranges, self.start.recipe, learned)

    def _make(self, name: str, hook: FakeQuant) -> None:
        """Let a value be made in its parameters, for all who read it."""
        self.module.hook_value(name, hook)
        self.hooked.add(name)

    def _read(self, node: Node) -> None:
        """Hook what an integer node reads and makes."""
        twin = self.start.integer.producers[node.outputs[0]]
        types = self.start.integer.types(twin.inputs)
        dtype = next((t.dtype for t in types if t is not None and t.dtype == "int4"), "int8")
        rule = rule_of(self.graph, node, dtype)
        for i, (role, name) in enumerate(zip(rule.roles, node.inputs, strict=False)):
            if name is None:
                continue
            if role is Role.ACTIVATION:
                self._activation(node, i, rule)
            elif role is Role.WEIGHT:
                self._weight(node, i, twin.inputs[i], rule.weight_axis)
            elif role is Role.BIAS:
                self._bias(node, i, twin.inputs[i], rule)
        if rule.outputs is not Role.INDEX:
            for i, name in enumerate(node.outputs):
                self._make(name, self._result(node, i, rule))

    def _result(self, node: Node, output: int, rule: QuantRule) -> FakeQuant:
        """The hook of a result, by how its integers come about."""
        range = self.made[node.outputs[output]]
        if any(~output in tie and any(i >= 0 for i in tie) for tie in rule.ties):
            return FakeQuantTied(range)
        if rule.roles[:2] == (Role.ACTIVATION, Role.WEIGHT) and not rule.products:
            weight = self.weights[node.outputs[0], 1]
            return FakeQuantSums(range, self._range(node, 0, rule), weight)
        if rule.scaled_sum is not None:
            return FakeQuantScaledSum(range, self._range(node, 0, rule), rule.scaled_sum)
        return FakeQuant(range)

    def _range(self, node: Node, operand: int, rule: QuantRule) -> Range:
        """In which range a node reads an operand: what `Plan.read` says."""
        name = node.inputs[operand]
        assert name is not None
        tie = next((tie for tie in rule.ties if operand in tie), None)
        if tie is None:
            return self.made[name]
        names = [node.outputs[~i] if i < 0 else node.inputs[i] for i in tie]
        values = [n for n in names if n is not None and self.graph.data(n) is None]
        if self.graph.data(name) is not None and values:
            name = values[0]
        return self.tied[name]

    def _activation(self, node: Node, operand: int, rule: QuantRule) -> None:
        name = node.inputs[operand]
        assert name is not None
        range = self._range(node, operand, rule)
        if self.graph.data(name) is None:
            if name not in self.hooked or range is not self.made[name]:
                self.module.hook_operand(node, operand, FakeQuant(range))
        elif range is self.made[name]:
            self.module.hook_operand(node, operand, FakeQuantConstant(range))
        else:  # its place is in the values' parameters, whatever it is
            getattr(self.module, self.module.keys[name]).requires_grad_(False)
            self.module.hook_operand(node, operand, FakeQuant(range))

    def _weight(self, node: Node, operand: int, integer: str | None, axis: int | None) -> None:
        name, type = node.inputs[operand], self.start.integer.type(integer or "")
        assert name is not None and type.quant is not None
        limit = LIMITS[type.dtype]
        key = name, type.quant
        if key not in self._shared:
            self._shared[key] = FakeQuantWeight(type.quant, type.rank, limit)
        hook = self.weights[node.outputs[0], operand] = self._shared[key]
        self.module.hook_operand(node, operand, hook)
        real = self._real(name)
        others = tuple(i for i in range(real.ndim) if axis is not None and i != axis)
        size = np.sqrt(np.mean(np.square(real), axis=others or None, keepdims=True))
        # As large as weights are at first where no norm is folded: see He et al. (2015).
        inputs = real.size if axis is None else real.size / real.shape[axis]
        self._begin(name, integer, limit, size / np.sqrt(2 / inputs))

    def _bias(self, node: Node, operand: int, integer: str | None, rule: QuantRule) -> None:
        name, type = node.inputs[operand], self.start.integer.type(integer or "")
        source, weight, _ = rule.product(operand)
        hook = FakeQuantBias(self._range(node, source, rule), self.weights[node.outputs[0], weight])
        self.module.hook_operand(node, operand, hook)
        low, high = self.made[node.outputs[0]].limits()
        size = np.asarray((high - low) / _SPREAD)
        self._begin(name or "", integer, BIAS_LIMITS[type.dtype], size)

    def _real(self, name: str) -> Array:
        data = self.graph.data(name)
        assert data is not None
        return data

    def _begin(self, name: str, integer: str | None, limit: int, size: Array) -> None:
        """Let a constant start as near to its float value as rounds to its integer one.

        Args:
            name: of the constant.
            integer: its name in the integer graph.
            limit: of the integers' magnitude.
            size: how large it is, so far as training is concerned; broadcasts with it.
        """
        real, value = self._real(name), self.start.integer.values[integer or ""]
        assert value.data is not None and value.type.quant is not None
        quant = value.type.quant
        shape = [-1 if axis == quant.axis else 1 for axis in range(real.ndim)]
        steps = np.asarray(quant.scales).reshape(shape)
        same = np.clip(round_half_away(real / steps), -limit, limit) == value.data
        exact = decode(value.type, value.data)
        moved = exact + np.clip(real - exact, -_NEAR * steps, _NEAR * steps)
        found = np.where(same, real, moved).astype(np.float32)
        key = self.module.keys[name]
        if name not in self.units:
            present = size[size > 0]
            usual = np.median(present) if present.size else 1.0
            units = np.exp2(np.rint(np.log2(np.where(size > 0, size, usual))))
            self.units[name] = np.asarray(units, np.float32)
            hook: nn.Module = Scaled(torch.from_numpy(self.units[name]))
            if key in self.module.on_constant:  # zeros are held
                hook = nn.Sequential(self.module.on_constant[key], hook)
            self.module.hook_constant(name, hook)
        with torch.no_grad():
            getattr(self.module, key).copy_(torch.from_numpy(found / self.units[name]))
