"""Graph ↔ torch: any float graph as a module whose parameters are the graph's constants.

Each operator lowers itself (`torch_lower`), so whatever framework a model came from, training is
the same. Tensors are channels-last throughout, as in the graph. What other techniques need has
three hooks: `on_constant` stands between a parameter and the operators that read it (masks),
`on_value` between an operator and the readers of its result (quantized activations), `on_operand`
before one operand of one operator (quantized weights).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from smidgen.errors import UnsupportedModelError
from smidgen.interpreter import widens
from smidgen.ir import Graph, Node, verify

if TYPE_CHECKING:
    from smidgen.ops import Op

Tensor = torch.Tensor


class GraphModule(nn.Module):
    """A float graph as a torch module.

    Constants that their operators train (weights, biases, gammas and betas) are parameters, all
    others are buffers. In training mode batch normalizations use the batch's statistics and update
    their own; `to_graph` takes everything back. A graph that mixes rows, so that samples cannot lie
    side by side, runs them one after the other, with the statistics its normalizations have.

    Args:
        graph: a float graph; quantized ones do not train.

    Raises:
        UnsupportedModelError: if the graph is quantized or an operator has no torch lowering.

    Example:
        >>> module = GraphModule(model)
        >>> outputs = module(torch.zeros(2, 8, 8, 1))
        >>> [tuple(y.shape) for y in outputs]
        [(2, 10)]
        >>> module.to_graph().outputs == model.outputs
        True
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        _check(graph)
        self.graph = graph
        self.keys = _keys(graph.values)
        trained = _trained(graph)
        for name, value in graph.values.items():
            if value.data is None:
                continue
            tensor = torch.from_numpy(np.array(value.data))  # a copy: files are read-only
            if name in trained:
                self.register_parameter(self.keys[name], nn.Parameter(tensor))
            else:
                self.register_buffer(self.keys[name], tensor)
        self.on_constant = nn.ModuleDict()
        self.on_value = nn.ModuleDict()
        self.on_operand = nn.ModuleDict()
        self._last_use = _last_uses(graph)
        self._wide = widens(graph)

    def hook_constant(self, name: str, hook: nn.Module) -> None:
        """Let operators read what `hook` makes of a constant; `to_graph` keeps that as well."""
        self.on_constant[self.keys[name]] = hook

    def hook_value(self, name: str, hook: nn.Module) -> None:
        """Let operators read what `hook` makes of an activation (or of an input)."""
        self.on_value[self.keys[name]] = hook

    def hook_operand(self, node: Node, operand: int, hook: nn.Module) -> None:
        """Let one node read what `hook` makes of an operand; others read the operand itself."""
        self.on_operand[self._operand_key(node, operand)] = hook

    def _operand_key(self, node: Node, operand: int) -> str:
        return f"{operand}_{self.keys[node.outputs[0]]}"

    def constant(self, name: str) -> Tensor:
        """A constant as operators read it."""
        key = self.keys[name]
        tensor: Tensor = getattr(self, key)
        return self.on_constant[key](tensor) if key in self.on_constant else tensor

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run a batch.

        Args:
            inputs: one tensor (n, ...) for each input of the graph, channels last.

        Returns:
            One tensor (n, ...) for each output.
        """
        return tuple(self.values(inputs, self.graph.outputs).values())

    def values(self, inputs: Iterable[Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
        """Run a batch and return some of its values by name, such as features to distil."""
        return self.between(dict(zip(self.graph.inputs, inputs, strict=True)), wanted)

    def between(self, given: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
        """Run what leads from some values of a batch to others.

        Args:
            given: values by name: the graph's inputs, or what `between` returned.
            wanted: names of the values to return.

        Returns:
            Values by name, hooks applied.

        Example:
            >>> module = GraphModule(model)
            >>> (middle,) = module.between({model.inputs[0]: torch.zeros(2, 8, 8, 1)}, ["dense"])
            >>> middle
            'dense'
        """
        wanted = list(wanted)
        count = len(next(iter(given.values())))
        if self._wide or count == 1:
            return self._between(given, wanted)
        each = [{n: x[i : i + 1] for n, x in given.items()} for i in range(count)]
        rows = [self._between(row, wanted) for row in each]
        return {n: torch.cat([row[n] for row in rows]) for n in wanted}

    def _between(self, given: Mapping[str, Tensor], wanted: list[str]) -> dict[str, Tensor]:
        inputs = self.graph.inputs
        found = {n: self._hooked(n, t) if n in inputs else t for n, t in given.items()}
        keep, needed = {*wanted, *found}, set(wanted) - set(found)
        way: list[Node] = []
        for node in reversed(self.graph.nodes):
            if needed & set(node.outputs):
                way.append(node)
                needed = needed - set(node.outputs) | {n for n in node.inputs if n} - set(found)
        for node in reversed(way):
            results = self._run(node, found)
            for name, tensor in zip(node.outputs, results, strict=True):
                found[name] = self._hooked(name, tensor)
            for operand in node.inputs:
                last = self._last_use.get(operand) == node.outputs
                if operand in found and operand not in keep and last:
                    del found[operand]  # let its memory go where no gradient needs it
        return {n: found[n] if n in found else self.constant(n) for n in wanted}

    def _run(self, node: Node, found: dict[str, Tensor]) -> tuple[Tensor, ...]:
        op: Op = node.op  # type: ignore[assignment]
        operands = [
            None if n is None else found[n] if n in found else self.constant(n) for n in node.inputs
        ]
        for i, operand in enumerate(operands):
            if operand is not None and (key := self._operand_key(node, i)) in self.on_operand:
                operands[i] = self.on_operand[key](operand)
        result = op.torch_lower(*operands, training=self.training and self._wide)
        return result if isinstance(result, tuple) else (result,)

    def _hooked(self, name: str, tensor: Tensor) -> Tensor:
        key = self.keys[name]
        return self.on_value[key](tensor) if key in self.on_value else tensor

    def to_graph(self) -> Graph:
        """The graph with its constants as they are now, hooks on constants applied."""
        values = dict(self.graph.values)
        with torch.no_grad():
            for name, value in values.items():
                if value.data is not None:
                    data = self.constant(name).detach().cpu().numpy().astype(value.data.dtype)
                    values[name] = replace(value, data=np.array(data))
        graph = replace(self.graph, values=values)
        verify(graph)
        return graph


def run_module(module: nn.Module, inputs: list[np.ndarray[Any, Any]], batch: int = 256) -> Any:
    """Outputs of a module in evaluation mode for arrays (n, ...): a list of arrays (n, ...)."""
    was_training = module.training
    module.eval()
    parts = []
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with torch.no_grad():
        for i in range(0, len(inputs[0]), batch):
            tensors = [torch.from_numpy(np.array(a[i : i + batch])).to(device) for a in inputs]
            parts.append([y.cpu().numpy() for y in module(*tensors)])
    module.train(was_training)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _check(graph: Graph) -> None:
    from smidgen.ops import Unsupported

    if graph.is_quantized:
        raise UnsupportedModelError(
            "the model is quantized: integers do not train", hint="load the float model"
        )
    for node in graph.nodes:
        lower = node.op.torch_lower  # type: ignore[attr-defined]
        if isinstance(lower, Unsupported):
            raise UnsupportedModelError(
                lower.why, where=node.label, hint="quantize the model without training"
            )


def _keys(names: Iterable[str]) -> dict[str, str]:
    """An attribute name of its own for every value: torch allows no dots in them."""
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        key = base = "v_" + re.sub(r"\W", "_", name)
        count = 1
        while key in taken:
            key, count = f"{base}_{count}", count + 1
        taken.add(key)
        keys[name] = key
    return keys


def _trained(graph: Graph) -> set[str]:
    """Float constants that every operator that reads them trains."""
    yes: set[str] = set()
    no: set[str] = set()
    for node in graph.nodes:
        op: Op = node.op  # type: ignore[assignment]
        chosen = op.trained(*graph.types(node.inputs))
        for i, name in enumerate(node.inputs):
            if name is not None and graph.values[name].is_constant:
                (yes if i in chosen else no).add(name)
    return {n for n in yes - no if graph.type(n).dtype == "float32"}


def _last_uses(graph: Graph) -> dict[str | None, tuple[str, ...]]:
    """The results of the last node that reads each value."""
    return {n: node.outputs for node in graph.nodes for n in node.inputs if n is not None}
