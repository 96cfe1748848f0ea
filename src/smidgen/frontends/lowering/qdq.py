"""QUANTIZE and DEQUANTIZE around operators in float → operators on integers.

Quantized models of ONNX and of PyTorch 2 say which integers a tensor is stored as by a pair of
operators, and compute everything between pairs in float. This pass finds each operator whose
operands come out of a DEQUANTIZE and whose result goes into a QUANTIZE, and makes it one operator
on integers, with the model's own scales and zero points. Operators that only move elements pass
the pairs along in both directions. Whatever is not surrounded stays in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.frontends.lowering.grid import Grid, integers_of
from smidgen.ir import Graph, GraphBuilder, Node, QuantParams
from smidgen.numerics.affine import dtype_range, quantize
from smidgen.ops import Op, Role, Unsupported, get_op
from smidgen.ops._movement import Movement

Array = np.ndarray[Any, Any]

# What these do to real numbers and to the integers that stand for them is the same.
_ALIKE = {"MAX_POOL_2D", "RELU"}
# What these do to the nearest integers is the nearest integer of what they do to real numbers.
_MONOTONE = {"RELU6", "MAXIMUM", "MINIMUM"}
_BIAS_LIMIT = 2**31 - 1


def to_integers(graph: Graph, grids: Mapping[str, Grid]) -> Graph:
    """Compute in integers what a quantized model says is quantized.

    Args:
        graph: with QUANTIZE and DEQUANTIZE around operators in float.
        grids: of float constants that stand for integers, by name.

    Returns:
        The graph with integer operators. Its values have the same names.

    Example:
        >>> to_integers(model, {}) is model  # nothing in it is quantized
        True
    """
    if not any(node.op.name == "QUANTIZE" for node in graph.nodes):
        return graph
    return _Integers(graph, grids).run()


def _moves(node: Node) -> bool:
    op = node.op
    fused = getattr(op, "fused_activation_function", "NONE")
    return isinstance(op, Movement) or (op.name in _ALIKE and fused in ("NONE", "RELU"))


def _enters(graph: Graph, node: Node) -> bool:
    """Whether a node makes integers of floats."""
    source = node.inputs[0]
    return node.op.name == "QUANTIZE" and source is not None and _float(graph, source)


def _leaves(graph: Graph, node: Node) -> bool:
    """Whether a node makes floats of integers that are computed."""
    source = node.inputs[0]
    return node.op.name == "DEQUANTIZE" and source is not None and not _float(graph, source)


def _float(graph: Graph, name: str) -> bool:
    return graph.type(name).dtype == "float32"


class _Integers:
    """A graph on its way."""

    def __init__(self, graph: Graph, grids: Mapping[str, Grid]) -> None:
        self.graph = graph
        self.grids = grids
        self.builder = GraphBuilder(graph.name)
        self.same: dict[str, str] = {}  # values as they are, by their old names
        self.forms: dict[str, tuple[str, QuantParams, str]] = {}  # integers of a float value
        self.made: dict[tuple[str, QuantParams], str] = {}  # forms in other parameters
        self.targets: dict[str, tuple[QuantParams, str] | None] = {}
        for node in reversed(graph.nodes):
            for name in node.outputs:
                self.targets[name] = self._target(name)
        for name in graph.inputs:
            self.targets[name] = self._target(name)

    def run(self) -> Graph:
        """The graph in integers."""
        graph = self.graph
        for name in graph.inputs:
            first = name in graph.channels_first
            self.same[name] = self.builder.input(name, graph.type(name), channels_first=first)
        for node in graph.nodes:
            self._node(node)
        outputs = [self._real(name) for name in graph.outputs]
        return replace(self.builder.build(outputs), states=graph.states)

    # -- which way the integers go ----------------------------------------------------------------

    def _target(self, name: str) -> tuple[QuantParams, str] | None:
        """Parameters and type of the integers that a float value becomes wherever it is read."""
        readers = self.graph.consumers[name]
        if name in self.graph.outputs or not readers or not _float(self.graph, name):
            return None
        found = {self._wanted(node) for node in readers}
        return found.pop() if len(found) == 1 else None

    def _wanted(self, node: Node) -> tuple[QuantParams, str] | None:
        if _enters(self.graph, node):
            type = self.graph.type(node.outputs[0])
            return None if type.quant is None else (type.quant, type.dtype)
        if _moves(node) or node.op.name in _MONOTONE:
            found = {self.targets[name] for name in node.outputs}
            return found.pop() if len(found) == 1 else None
        return None

    # -- one node ---------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        graph = self.graph
        if _leaves(graph, node):
            (source,), (out,) = node.inputs, node.outputs
            assert source is not None
            type = graph.type(source)
            if type.quant is not None and graph.data(source) is None:
                self.forms[out] = (self.same[source], type.quant, type.dtype)
                return
        if _enters(graph, node):
            source, out = node.inputs[0], node.outputs[0]
            type = graph.type(out)
            if source is not None and type.quant is not None and graph.data(source) is None:
                self.same[out] = self._integer(source, type.quant, type.dtype)
                return
        inputs = [name for name in node.inputs if name is not None]
        if all(_float(graph, name) for name in node.outputs) and inputs:
            if self._moved(node) or self._computed(node):
                return
        names = self._add(node, [None if n is None else self._real(n) for n in node.inputs], None)
        self.same.update(zip(node.outputs, names, strict=True))

    def _moved(self, node: Node) -> bool:
        """Let an operator move integers in place of floats, if it is one that moves."""
        monotone = node.op.name in _MONOTONE
        if not (_moves(node) or monotone):
            return False
        target = self._wanted(node)
        exact = target is None
        operands = self._operands(node, Role.ACTIVATION)
        varying = [n for n in operands if self.graph.data(n) is None]
        there = {self.forms[n][1:] if n in self.forms else None for n in varying}
        alike = there.pop() if len(there) == 1 else None
        if (exact and monotone) or (exact and alike is None):
            return False
        target = alike or target  # what is integer stays as it is
        assert target is not None
        quant, dtype = target
        inputs: list[str | None] = []
        for name, role in self._roles(node):
            if name is None:
                inputs.append(None)
            elif role is not Role.ACTIVATION:
                inputs.append(self._real(name))
            elif self.graph.data(name) is not None:
                constant = self._constant(name, quant, dtype, exact)
                if constant is None:
                    return False
                inputs.append(constant)
            elif exact and self.forms.get(name, (None,))[1:] != (quant, dtype):
                return False
            else:
                inputs.append(self._integer(name, quant, dtype))
        return self._try(node, inputs, quant, dtype)

    def _computed(self, node: Node) -> bool:
        """Let an operator compute on integers, if it is surrounded by the pairs."""
        op, target = node.op, self._wanted_of_results(node)
        assert isinstance(op, Op)
        if target is None or isinstance(op.int_ref, Unsupported):
            return False
        rule = op.quant_rule(*self.graph.types(node.inputs))
        quant, dtype = target
        demanded = (rule.output or {}).get(dtype, quant)
        inputs: list[str | None] = []
        scale = 0.0
        weights: QuantParams | None = None
        tied = next((t for t in rule.ties if -1 in t and len(t) > 1), ())
        if len(tied) == 2 and node.inputs[0] in self.forms:  # such as an average: no other scale
            demanded = self.forms[node.inputs[0]][1]
        for place, (name, role) in enumerate(self._roles(node)):
            made: str | None = None
            if name is None:
                inputs.append(None)
                continue
            if role is Role.INDEX:
                made = self._real(name)
            elif role is Role.ACTIVATION:
                params = demanded if place in tied else None
                made = self._activation(name, params, dtype)
                if made is not None and place == 0:
                    found = self.builder.type(made).quant
                    scale = 0.0 if found is None else found.scale
            elif role is Role.WEIGHT:
                made = self._weights(name, rule.weight_axis)
                weights = None if made is None else self.builder.type(made).quant
            elif weights is not None:
                made = self._bias(name, scale, weights)
            if made is None:
                return False
            inputs.append(made)
        return self._try(node, inputs, demanded, dtype)

    def _wanted_of_results(self, node: Node) -> tuple[QuantParams, str] | None:
        found = {self.targets[name] for name in node.outputs}
        return found.pop() if len(found) == 1 else None

    def _try(self, node: Node, inputs: list[str | None], quant: QuantParams, dtype: str) -> bool:
        """Append the node on integers unless its operator refuses them."""
        types = [None if n is None else self.builder.type(n) for n in inputs]
        try:
            results = node.op.infer(*types)
            if any(type.dtype != dtype for type in results):
                return False
            with_quant = tuple(type.with_quant(quant) for type in results)
            node.op.check_quant(tuple(types), with_quant)
        except (ValueError, AssertionError):
            return False
        names = self._add(node, inputs, quant)
        for old, new in zip(node.outputs, names, strict=True):
            self.forms[old] = (new, quant, dtype)
        return True

    def _add(
        self, node: Node, inputs: list[str | None], quant: QuantParams | None
    ) -> tuple[str, ...]:
        quants: Any = quant
        if quant is None:
            quants = tuple(self.graph.type(name).quant for name in node.outputs)
        return self.builder.add_multi(
            node.op, inputs, name=node.name, quant=quants, outputs=list(node.outputs)
        )

    def _roles(self, node: Node) -> list[tuple[str | None, Role]]:
        assert isinstance(node.op, Op)
        roles = node.op.quant_rule(*self.graph.types(node.inputs)).roles
        missing = (Role.ACTIVATION,) * (len(node.inputs) - len(roles))
        return list(zip(node.inputs, (*roles, *missing), strict=False))

    def _operands(self, node: Node, wanted: Role) -> list[str]:
        return [name for name, role in self._roles(node) if name is not None and role is wanted]

    # -- the forms of a value ---------------------------------------------------------------------

    def _real(self, name: str) -> str:
        """A value as it was: a float one by DEQUANTIZE if it is there as integers only."""
        if name in self.same:
            return self.same[name]
        value = self.graph.values[name]
        if value.data is not None:
            self.same[name] = self.builder.constant(
                value.data, name=name, quant=value.type.quant, dtype=value.type.dtype
            )
        else:
            made = self.forms[name][0]
            self.same[name] = self.builder.add(
                get_op("DEQUANTIZE")(), [made], name=name, outputs=[self._free(f"{name}_float")]
            )
        return self.same[name]

    def _free(self, hint: str) -> str:
        """A name that neither graph has."""
        name, count = hint, 1
        while name in self.graph.values or self.builder.fresh(name) != name:
            name, count = f"{hint}_{count}", count + 1
        return name

    def _integer(self, name: str, quant: QuantParams, dtype: str) -> str:
        """A float value as integers in given parameters."""
        if name in self.forms and self.forms[name][1:] == (quant, dtype):
            return self.forms[name][0]
        if (name, quant) not in self.made:
            source = self.forms[name][0] if name in self.forms else self._real(name)
            make: Any = get_op("QUANTIZE")
            self.made[name, quant] = self.builder.add(
                make(dtype=dtype),
                [source],
                quant=quant,
                name=name,
                outputs=[self._free(f"{name}_{dtype}")],
            )
            if name not in self.forms:
                self.forms[name] = (self.made[name, quant], quant, dtype)
        return self.made[name, quant]

    def _activation(self, name: str, params: QuantParams | None, dtype: str) -> str | None:
        """An operand as integers, in the parameters that it has or in those it must have."""
        if self.graph.data(name) is not None:
            return self._constant(name, params, dtype, exact=True)
        if name not in self.forms or self.forms[name][2] != dtype:
            return None
        return self.forms[name][0] if params is None else self._integer(name, params, dtype)

    def _constant(
        self, name: str, params: QuantParams | None, dtype: str, exact: bool
    ) -> str | None:
        """A float constant as integers, None if there are none that stand for these numbers."""
        data = self.graph.data(name)
        grid = self.grids.get(name)
        assert data is not None
        if data.dtype != np.float32 or dtype not in ("int8", "int16"):
            return None
        if params is None and grid is not None and len(grid.scales) == 1 and dtype == "int8":
            q = integers_of(data, grid, None)
            if q is not None:
                own = QuantParams.per_tensor(grid.scales[0], grid.zero_points[0])
                return self.builder.constant(q, name=self._free(f"{name}_int8"), quant=own)
        if params is None:
            if data.size != 1:
                return None
            number = float(data.reshape(-1)[0])  # one number has a scale in which it is exact
            params = QuantParams.per_tensor(abs(number) / 127 if abs(number) > 1e-30 else 1.0)
        q = quantize(data, params.scale, params.zero_point, dtype)
        low, high = dtype_range(dtype)
        there = (q.astype(np.float64) - params.zero_point) * params.scale
        beyond = ((q == low) & (data < there)) | ((q == high) & (data > there))
        if exact and not (np.isclose(there, data, rtol=1e-6, atol=0) | beyond).all():
            return None
        return self.builder.constant(q, name=self._free(f"{name}_{dtype}"), quant=params)

    def _weights(self, name: str, axis: int | None) -> str | None:
        data, grid = self.graph.data(name), self.grids.get(name)
        if data is None or grid is None or any(grid.zero_points):
            return None
        q = integers_of(data, grid, axis)
        if q is None:
            return None
        if len(grid.scales) == 1:
            params = QuantParams.per_tensor(grid.scales[0])
        else:
            assert axis is not None
            params = QuantParams.per_channel(list(grid.scales), axis)
        return self.builder.constant(q, name=self._free(f"{name}_int8"), quant=params)

    def _bias(self, name: str, scale: float, weights: QuantParams) -> str | None:
        """A bias in the steps of the sums that it is added to."""
        data = self.graph.data(name)
        if data is None or scale <= 0:
            return None
        steps = scale * np.asarray(weights.scales)
        q = np.rint(data.astype(np.float64) / steps)
        if not (np.abs(q) <= _BIAS_LIMIT).all() or (steps < 1.2e-38).any():
            return None
        params = (
            QuantParams.per_tensor(float(steps[0]))
            if weights.axis is None
            else QuantParams.per_channel(steps, 0)
        )
        hint = self._free(f"{name}_int32")
        return self.builder.constant(q.astype(np.int32), name=hint, quant=params)
