"""The order in which every tensor of a graph lies, and what it costs to move elements between.

All transposes are dissolved: a tensor that one makes is the tensor it was made from, seen in
another order. Each operator has a *form* (see `Op.permuted`): the order in which it wants each
operand and gives each result. Where a tensor does not lie as a reader wants it, it has to be
transposed. A layout is a choice of forms; its cost is the number of elements that are moved.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from smidgen.ir import Graph, Node
from smidgen.ops import Op
from smidgen.ops._order import Order, Permuted, compose

# Axes of a tensor as a reader wants them; None is an axis of 1 that the tensor does not have.
View = tuple[int | None, ...]

# A moved element in units of the smallest cost, which is one more operator.
MOVED = 1 << 20
# Orders of more axes than this are not searched; of more than 4, only those that keep the batch.
MAX_RANK = 6


@dataclass(frozen=True)
class Door:
    """An input or output of the graph, where it meets the world.

    A state's input stands for the state, which is read there and made where a step ends.
    """

    name: str
    output: bool


Place = str | Door
"""An operator, by the name of its first result, or a door."""


Doors = Mapping[Door, tuple[Permuted, ...]]
"""The forms that doors may have besides their own."""


@dataclass(frozen=True)
class Edge:
    """A place reads a tensor.

    Args:
        source: the tensor, no transpose's result.
        view: the order in which the reader saw it in the original graph.
        reader: who reads it.
        operand: as which operand.
        absorbed: tell whether a transpose there, from one order to another, goes into weights.
    """

    source: str
    view: Order
    reader: Place
    operand: int
    absorbed: tuple[Callable[[Order, Order], bool], ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the layout of one graph is chosen from.

    Args:
        graph: the graph.
        edges: every tensor that is read.
        doors: the forms that an input, output or state may have besides its own.
        inexact: whether float sums may be taken in another order.
    """

    graph: Graph
    edges: tuple[Edge, ...]
    doors: Doors
    inexact: bool
    _forms: dict[tuple[Place, int], dict[tuple[int, ...], list[Permuted]]] = field(
        default_factory=dict
    )

    @cached_property
    def around(self) -> Mapping[Place, list[Edge]]:
        """The edges at every place."""
        found: dict[Place, list[Edge]] = {}
        for edge in self.edges:
            for place in {edge.reader, self.maker(edge.source)}:
                if place is not None:
                    found.setdefault(place, []).append(edge)
        return found

    @cached_property
    def readers(self) -> Mapping[str, list[Edge]]:
        """The edges of every tensor."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    def maker(self, name: str) -> Place | None:
        """Who makes a tensor; None for a constant."""
        node = self.graph.producers.get(name)
        if node is not None:
            return node.outputs[0]
        return None if self.graph.values[name].is_constant else Door(name, output=False)

    def own_form(self, place: Place) -> Permuted:
        """The form that a place has in the original graph."""
        if isinstance(place, Door):
            order = tuple(range(self.graph.type(place.name).rank))
            return Permuted(Op(), (order,), (order,))
        node = self.graph.producers[place]
        inputs, outputs = (
            tuple(None if t is None else tuple(range(t.rank)) for t in self.graph.types(names))
            for names in (node.inputs, node.outputs)
        )
        return Permuted(node.op, inputs, outputs)  # type: ignore[arg-type]

    def forms(self, place: Place) -> Iterator[Permuted]:
        """All forms that a place can have."""
        if isinstance(place, Door):
            yield self.own_form(place)
            yield from self.doors.get(place, ())
            return
        node = self.graph.producers[place]
        types = self.graph.types(node.inputs)
        ranks = [t.rank for t in types[:1] if t is not None]
        rank = max([*ranks, self.graph.type(node.outputs[0]).rank])
        kept = 0 if rank <= 4 else 1
        if rank > MAX_RANK or not types:
            return
        op: Op = node.op  # type: ignore[assignment]
        for rest in itertools.permutations(range(kept, rank)):
            form = op.permuted((*range(kept), *rest), *types)
            if form is not None and (form.exact or self.inexact or self._integer(node)):
                yield form

    def forms_with(self, place: Place, operand: int, order: tuple[int, ...]) -> list[Permuted]:
        """Forms that have the moving axes of an operand (or ~result) in an order."""
        table = self._forms.get((place, operand))
        if table is None:
            table = self._forms[place, operand] = {}
            for form in self.forms(place):
                orders = form.outputs if operand < 0 else form.inputs
                found = orders[~operand if operand < 0 else operand]
                if found is not None:
                    key = self._moving(place, operand, found)
                    table.setdefault(key, []).append(form)
        return table.get(order, [])

    def _integer(self, node: Node) -> bool:
        return self.graph.type(node.outputs[0]).quant is not None

    def _shape(self, place: Place, operand: int) -> tuple[int, ...]:
        if isinstance(place, Door):
            return self.graph.type(place.name).shape
        node = self.graph.producers[place]
        name = node.outputs[~operand] if operand < 0 else node.inputs[operand]
        assert name is not None
        return self.graph.type(name).shape

    def _moving(self, place: Place, operand: int, order: Order) -> tuple[int, ...]:
        shape = self._shape(place, operand)
        extra = len(order) - len(shape)
        return tuple(a - extra for a in order if a >= extra and shape[a - extra] != 1)

    def wanted_order(self, edge: Edge, lies: Order) -> tuple[int, ...]:
        """The order of a reader's operand for which a tensor that lies so need not be moved."""
        shape = self.graph.type(edge.source).shape
        return tuple(edge.view.index(axis) for axis in lies if shape[axis] != 1)


Layout = dict[Place, Permuted]
"""Forms of the places that have another form than in the original graph."""


@dataclass(frozen=True)
class Cost:
    """What the edges of a layout cost."""

    plan: Plan

    def lies(self, layout: Mapping[Place, Permuted], name: str) -> Order:
        """The order in which a tensor lies."""
        place = self.plan.maker(name)
        if place is None or place not in layout:
            return tuple(range(self.plan.graph.type(name).rank))
        if isinstance(place, Door):
            return layout[place].outputs[0]
        return layout[place].outputs[self.plan.graph.producers[name].outputs.index(name)]

    def wants(self, layout: Mapping[Place, Permuted], edge: Edge) -> View:
        """The order in which a reader wants a tensor."""
        order = layout[edge.reader].inputs[edge.operand] if edge.reader in layout else None
        if order is None:
            return edge.view
        extra = len(order) - len(edge.view)
        return tuple(None if a < extra else edge.view[a - extra] for a in order)

    def edge(self, layout: Mapping[Place, Permuted], edge: Edge) -> int:
        """The cost of one edge alone."""
        return self.move(edge, self.lies(layout, edge.source), self.wants(layout, edge))

    def move(self, edge: Edge, lies: Order, view: View) -> int:
        """The cost of having a tensor that lies in one order in another."""
        type = self.plan.graph.type(edge.source)
        if self.plan.graph.values[edge.source].is_constant or lies == view:
            return 0
        if moving(type.shape, lies) == moving(type.shape, view):
            return int(shape_of(type.shape, lies) != shape_of(type.shape, view))
        present = tuple(axis for axis in view if axis is not None)
        if any(absorbed(lies, present) for absorbed in edge.absorbed):
            return 2
        return type.size * MOVED

    def total(self, layout: Mapping[Place, Permuted]) -> int:
        """The cost of all edges."""
        return self.of(layout, self.plan.edges)

    def of(self, layout: Mapping[Place, Permuted], edges: Iterable[Edge]) -> int:
        """The cost of some edges; readers that want the same share what is moved for them."""
        alone, shared = 0, {}
        for edge in edges:
            cost = self.edge(layout, edge)
            if cost < MOVED:
                alone += cost
            else:
                shared[edge.source, self.wants(layout, edge)] = cost
        return alone + sum(shared.values())


def moving(shape: tuple[int, ...], view: View) -> tuple[int, ...]:
    """The axes of a view that are longer than 1: what remains in order costs nothing."""
    return tuple(axis for axis in view if axis is not None and shape[axis] != 1)


def shape_of(shape: tuple[int, ...], view: View) -> tuple[int, ...]:
    """The shape of a tensor in a view."""
    return tuple(1 if axis is None else shape[axis] for axis in view)


def elements(shape: tuple[int, ...]) -> int:
    """How many elements a tensor has."""
    return math.prod(shape)


def roots(graph: Graph) -> dict[str, tuple[str, Order]]:
    """For every value the tensor that it is, and the order in which it sees it."""
    found: dict[str, tuple[str, Order]] = {
        name: (name, tuple(range(value.type.rank))) for name, value in graph.values.items()
    }
    for node in graph.nodes:
        if node.op.name == "TRANSPOSE":
            assert node.inputs[0] is not None
            source, order = found[node.inputs[0]]
            found[node.outputs[0]] = source, compose(order, node.op.perm)  # type: ignore[attr-defined]
    return found
