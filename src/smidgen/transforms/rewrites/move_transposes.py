"""Sink, hoist, merge and cancel transposes all over the graph, so that the fewest elements move."""

from __future__ import annotations

import functools
import itertools

from smidgen.ir import Graph
from smidgen.ops import Op
from smidgen.ops._order import Permuted
from smidgen.transforms.rewrites._absorb import by_maker, by_reader
from smidgen.transforms.rewrites._apply_layout import apply_layout
from smidgen.transforms.rewrites._choose_layout import choose_layout
from smidgen.transforms.rewrites._layout import MAX_RANK, Door, Doors, Edge, Plan, roots
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Put the graph into the best layout in which no float sum is taken in another order."""
    return move(graph, {}, inexact=False)


def move(graph: Graph, doors: Doors, *, inexact: bool) -> Patch | None:
    """The graph in the best layout; None if it has it already.

    Args:
        graph: any graph.
        doors: the other forms that inputs and outputs may take; states may take any.
        inexact: whether float sums may be taken in another order.
    """
    moved = [node for node in graph.nodes if node.op.name == "TRANSPOSE"]
    if not moved:
        return None
    plan = plan_of(graph, doors, inexact=inexact)
    layout = choose_layout(plan)
    after = apply_layout(plan, layout)
    left = [node for node in after.nodes if node.op.name == "TRANSPOSE"]
    if not layout and len(left) >= len(moved):
        return None
    what = f"{len(moved)} transposes became {len(left)}"
    return Patch(after, moved[0].label, what)


def plan_of(graph: Graph, doors: Doors, *, inexact: bool) -> Plan:
    """What the layout of a graph is chosen from."""
    views = roots(graph)
    edges = []
    maker = functools.cache(functools.partial(by_maker, graph))
    for node in graph.nodes:
        if node.op.name == "TRANSPOSE":
            continue
        reader = by_reader(graph, node)
        for i, name in enumerate(node.inputs):
            if name is not None:
                source, view = views[name]
                absorbed = tuple(a for a in (reader, maker(source)) if a is not None)
                edges.append(Edge(source, view, node.outputs[0], i, absorbed))
    edges += [Edge(*views[name], Door(name, output=True), 0) for name in graph.outputs]
    held = {Door(state.input, output=False): state for state in graph.states}
    edges += [Edge(*views[state.output], door, 0) for door, state in held.items()]
    states = {door: _orders(graph, door) for door, state in held.items() if not state.shared}
    return Plan(graph, tuple(edges), {**doors, **states}, inexact)


def _orders(graph: Graph, door: Door) -> tuple[Permuted, ...]:
    """A state in any order that keeps the batch in front."""
    axes = range(1, graph.type(door.name).rank)
    orders = [(0, *rest) for rest in itertools.permutations(axes)] if len(axes) < MAX_RANK else []
    return tuple(Permuted(Op(), (order,), (order,)) for order in orders)


# With `move_transposes_in_float` it lowers one and the same cost, so that neither undoes the other.
RULE = Rewrite("move_transposes", exact=True, requires="integer", find=find)
