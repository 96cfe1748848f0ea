"""A graph under change: what passes use. The original stays as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from smidgen.ir.graph import Graph, Node, Operator, State, Value
from smidgen.ir.types import QuantParams, TensorType
from smidgen.ir.verify import verify


class GraphEditor:
    """Edits a copy of a graph; `finish()` drops what is unused, re-sorts and verifies.

    Example:
        >>> edit = GraphEditor(model)
        >>> edit.replace_uses("re_lu_2", "conv2d_1")
        >>> edit.remove(model.producers["re_lu_2"])
        >>> len(model.nodes) - len(edit.finish().nodes)
        1
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = dict(graph.values)
        self.nodes: list[Node] = list(graph.nodes)
        self.inputs: list[str] = list(graph.inputs)
        self.outputs: list[str] = list(graph.outputs)
        self.states: list[State] = list(graph.states)
        self.modified = False

    def fresh(self, hint: str) -> str:
        """A name that no value has yet, made from `hint`."""
        name, count = hint, 1
        while name in self.values:
            name, count = f"{hint}_{count}", count + 1
        return name

    def constant(
        self,
        data: np.ndarray[Any, Any],
        *,
        hint: str = "const",
        quant: QuantParams | None = None,
        dtype: str | None = None,
    ) -> str:
        """Add a constant and return its name."""
        name = self.fresh(hint)
        array = np.ascontiguousarray(data)
        self.values[name] = Value(
            name, TensorType(array.shape, dtype or str(array.dtype), quant), array
        )
        return name

    def set_type(self, name: str, type: TensorType) -> None:
        """Give the value another type (its producer must agree by the time of `finish`)."""
        self.values[name] = dataclasses.replace(self.values[name], type=type)
        self.modified = True

    def replace_uses(self, old: str, new: str) -> None:
        """Let every reader of `old`, graph outputs and states included, read `new`."""
        for i, node in enumerate(self.nodes):
            if old in node.inputs:
                inputs = tuple(new if n == old else n for n in node.inputs)
                self.nodes[i] = dataclasses.replace(node, inputs=inputs)
        self.outputs = [new if n == old else n for n in self.outputs]
        self.states = [
            dataclasses.replace(s, output=new) if s.output == old else s for s in self.states
        ]
        self.modified = True

    def _index(self, node: Node) -> int:
        for i, candidate in enumerate(self.nodes):
            if candidate.outputs == node.outputs:  # outputs are unique, operands may have moved
                return i
        raise ValueError(f"{node.label} is not in the graph any more")

    def replace_node(self, old: Node, new: Node | Iterable[Node]) -> None:
        """Put one or several nodes where `old` was."""
        i = self._index(old)
        self.nodes[i : i + 1] = [new] if isinstance(new, Node) else list(new)
        self.modified = True

    def update(
        self,
        node: Node,
        *,
        op: Operator | None = None,
        inputs: tuple[str | None, ...] | None = None,
    ) -> Node:
        """Give a node another operator or operands, and return it as it now is."""
        i = self._index(node)
        current = self.nodes[i]
        new = dataclasses.replace(
            current,
            op=current.op if op is None else op,
            inputs=current.inputs if inputs is None else inputs,
        )
        self.nodes[i] = new
        self.modified = True
        return new

    def remove(self, node: Node) -> None:
        """Take a node out; its outputs must have no readers left by the time of `finish`."""
        del self.nodes[self._index(node)]
        self.modified = True

    def insert(
        self,
        op: Operator,
        inputs: list[str | None] | list[str],
        *,
        quant: QuantParams | None = None,
        name: str = "",
        hint: str | None = None,
    ) -> str:
        """Add a single-output node (order is mended by `finish`) and return its output's name."""
        types = op.infer(*(None if n is None else self.values[n].type for n in inputs))
        out = self.fresh(hint or name or op.name.lower())
        self.values[out] = Value(out, types[0].with_quant(quant))
        self.nodes.append(Node(op, tuple(inputs), (out,), name))
        self.modified = True
        return out

    def finish(self) -> Graph:
        """The edited graph: unused nodes and values dropped, in execution order, verified.

        A state that no output depends on goes too, unless other functions share it.
        """
        states = self._needed_states()
        nodes = _sorted_by_need(self.nodes, [*self.outputs, *(s.output for s in states)])
        used = {n for node in nodes for n in (*node.inputs, *node.outputs) if n is not None}
        used.update(self.inputs, self.outputs, *((s.input, s.output) for s in states))
        graph = dataclasses.replace(
            self.graph,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            values={n: v for n, v in self.values.items() if n in used},
            nodes=tuple(nodes),
            states=tuple(states),
        )
        verify(graph)
        return graph

    def _needed_states(self) -> list[State]:
        """The states that some output depends on, through other states too, or that are shared."""
        producer = {out: node for node in self.nodes for out in node.outputs}
        becomes = {s.input: s.output for s in self.states}
        stack = [*self.outputs, *(n for s in self.states if s.shared for n in (s.input, s.output))]
        seen: set[str] = set()
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in becomes:
                stack.append(becomes[name])
            if name in producer:
                stack.extend(n for n in producer[name].inputs if n is not None)
        return [s for s in self.states if s.input in seen]


def _sorted_by_need(nodes: list[Node], outputs: list[str]) -> list[Node]:
    """The nodes that the outputs need, in the given order where that is possible."""
    producer = {out: i for i, node in enumerate(nodes) for out in node.outputs}
    needed: set[int] = set()
    stack = [producer[n] for n in outputs if n in producer]
    while stack:
        i = stack.pop()
        if i not in needed:
            needed.add(i)
            stack.extend(producer[n] for n in nodes[i].inputs if n is not None and n in producer)
    done: set[int] = set()
    active: set[int] = set()
    order: list[int] = []
    for root in sorted(needed):
        work = [(root, False)]
        while work:
            i, expanded = work.pop()
            if i in done:
                continue
            if expanded:
                done.add(i)
                order.append(i)
                continue
            if i in active:
                raise ValueError(f"{nodes[i].label} depends on its own output")
            active.add(i)
            work.append((i, True))
            operands = {producer[n] for n in nodes[i].inputs if n is not None and n in producer}
            work.extend((p, False) for p in sorted(operands, reverse=True) if p not in done)
    return [nodes[i] for i in order]
