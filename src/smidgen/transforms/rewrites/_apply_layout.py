"""Write a graph in another layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node, State, Value
from smidgen.ops import get_op
from smidgen.transforms.rewrites._layout import (
    Cost,
    Door,
    Edge,
    Layout,
    Place,
    Plan,
    View,
    moving,
    shape_of,
)


def apply_layout(plan: Plan, layout: Layout) -> Graph:
    """The graph of a plan with its operators in the forms of a layout.

    Returns:
        A graph of the same inputs and outputs, by name; those whose form changed are noted in
        `channels_first`.
    """
    return _Writer(plan, layout).graph()


class _Writer:
    def __init__(self, plan: Plan, layout: Layout) -> None:
        self.plan, self.layout, self.cost = plan, layout, Cost(plan)
        self.old = plan.graph
        self.edit = GraphEditor(plan.graph)
        self.edit.nodes = []
        self.made: dict[tuple[str, View], str] = {}
        self.asked: dict[tuple[str, View], str] = {}  # what outputs have to be called
        self.names: dict[str, str] = {}  # of the tensors, where they had to be changed

    def graph(self) -> Graph:
        edges = {(edge.reader, edge.operand): edge for edge in self.plan.edges}
        outputs = [edges[Door(name, output=True), 0] for name in self.old.outputs]
        self._name(outputs)
        for name in (*self.old.inputs, *(state.input for state in self.old.states)):
            self._retype(name)
        for node in self.old.nodes:
            if node.op.name == "TRANSPOSE":
                continue
            inputs = tuple(
                None if name is None else self._as_wanted(edges[node.outputs[0], i])
                for i, name in enumerate(node.inputs)
            )
            for name in node.outputs:
                self._retype(name)
            form = self.layout.get(node.outputs[0])
            renamed = tuple(self.names.get(name, name) for name in node.outputs)
            op = node.op if form is None else form.op
            self.edit.nodes.append(Node(op, inputs, renamed, node.name))
        for edge in outputs:
            assert isinstance(edge.reader, Door)
            self._as_wanted(edge)
        self.edit.states = [self._state(edges, state) for state in self.old.states]
        doors = {place.name for place in self.layout if isinstance(place, Door)}
        doors -= {state.input for state in self.old.states}
        return replace(self.edit.finish(), channels_first=self.old.channels_first | doors)

    def _state(self, edges: Mapping[tuple[Place, int], Edge], state: State) -> State:
        """A state in the order in which it is held now."""
        becomes = self._as_wanted(edges[Door(state.input, output=False), 0])
        lies = self.cost.lies(self.layout, state.input)
        initial = np.ascontiguousarray(state.initial.transpose(lies))
        return replace(state, output=becomes, initial=initial)

    def _name(self, outputs: list[Edge]) -> None:
        """Let tensors that lie as an output is wanted have its name, and no others."""
        taken: dict[str, str] = {}
        for edge in outputs:
            assert isinstance(edge.reader, Door)
            source = edge.source
            view, lies = self.cost.wants(self.layout, edge), self.cost.lies(self.layout, source)
            self.asked.setdefault((source, view), edge.reader.name)
            if view == lies and source in self.old.producers and source not in taken:
                taken[source] = edge.reader.name
        for name in self.old.outputs:
            if name in self.old.producers and name not in taken:
                self.names[name] = self.edit.fresh(f"{name}_moved")
        self.names |= {s: name for s, name in taken.items() if s != name}

    def _retype(self, source: str) -> None:
        """Put a tensor that is no constant among the values, as it lies."""
        type = self.old.type(source)
        lies = self.cost.lies(self.layout, source)
        name = self.names.get(source, source)
        self.edit.values[name] = Value(name, type.with_shape(shape_of(type.shape, lies)))
        self.made.setdefault((source, lies), name)

    def _as_wanted(self, edge: Edge) -> str:
        """The name under which a reader finds a tensor in the order that it wants."""
        source, view = edge.source, self.cost.wants(self.layout, edge)
        found = self.made.get((source, view))
        name = self.asked.get((source, view), "")
        if isinstance(edge.reader, Door) and edge.reader.output:
            name = edge.reader.name
        elif found is not None:
            return found
        if found == name:
            return name
        value = self.old.values[source]
        if value.is_constant and (not name or view == tuple(range(value.type.rank))):
            made = self._constant(value, view)
        else:
            made = self._move(source, view, name)
        self.made.setdefault((source, view), made)
        return made

    def _constant(self, value: Value, view: View) -> str:
        lies = tuple(range(value.type.rank))
        if view == lies:
            return value.name
        assert value.data is not None
        order = [axis for axis in view if axis is not None]
        data = value.data.transpose(order).reshape(shape_of(value.type.shape, view))
        quant = value.type.quant
        if quant is not None and quant.axis is not None:
            quant = replace(quant, axis=view.index(quant.axis))
        return self.edit.constant(
            np.ascontiguousarray(data), hint=value.name, quant=quant, dtype=value.type.dtype
        )

    def _move(self, source: str, view: View, name: str) -> str:
        """Transpose a tensor, or only reshape it if nothing but axes of 1 changes place."""
        type, lies = self.old.type(source), self.cost.lies(self.layout, source)
        here = self.names.get(source, source)
        last = name or self.edit.fresh(f"{source}_moved")
        present = tuple(axis for axis in view if axis is not None)
        goal = shape_of(type.shape, view)
        if moving(type.shape, lies) != moving(type.shape, present):
            perm = tuple(lies.index(axis) for axis in present)
            middle = last if present == view else self.edit.fresh(f"{source}_moved")
            self._add("TRANSPOSE", {"perm": perm}, here, middle, shape_of(type.shape, present))
            here = middle
        if here != last:
            self._add("RESHAPE", {"new_shape": goal}, here, last, goal)
        return last

    def _add(
        self, op: str, how: dict[str, tuple[int, ...]], x: str, out: str, shape: tuple[int, ...]
    ) -> None:
        self.edit.values[out] = Value(out, self.edit.values[x].type.with_shape(shape))
        self.edit.nodes.append(Node(get_op(op)(**how), (x,), (out,)))
