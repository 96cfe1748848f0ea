"""Choose the layout of a graph in which the fewest elements are moved.

A layout is improved by proposals. Each starts where elements are moved now: either the reader takes
the form in which it wants the tensor as it lies, or the maker the form in which the tensor lies as
it is wanted; their neighbours follow as far as they can. Which of the places that a proposal
reaches had best accept it is a minimum cut, so long chains and whole branches change together or
not at all. A proposal is kept only if it lowers the cost, a natural number, so this ends.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Mapping

from smidgen.ops._order import Permuted
from smidgen.transforms.rewrites._layout import (
    MOVED,
    Cost,
    Edge,
    Layout,
    Place,
    Plan,
    View,
    moving,
)
from smidgen.transforms.rewrites._min_cut import MinCut


def choose_layout(plan: Plan) -> Layout:
    """The best layout that proposals lead to.

    Args:
        plan: the graph and what may change.

    Returns:
        The forms of the places that change; {} if the graph is as good as can be.
    """
    cost = Cost(plan)
    layout: Layout = {}
    total = cost.total(layout)
    improved = True
    while improved:
        improved = False
        for edge in plan.edges:
            for from_reader in (True, False):
                if not cost.edge(layout, edge):
                    break
                better = _cut(cost, layout, _proposal(cost, layout, edge, from_reader))
                reached = cost.total(better)
                if reached < total:
                    layout, total, improved = better, reached, True
    own = {place: plan.own_form(place) for place in layout}
    return {place: form for place, form in layout.items() if form != own[place]}


def _proposal(cost: Cost, layout: Layout, edge: Edge, from_reader: bool) -> Layout:
    """New forms for the reader or the maker of a tensor and all who follow."""
    plan = cost.plan
    asked: list[tuple[Place | None, Edge]] = [(plan.maker(edge.source), edge)]
    if from_reader:  # together with others who want the tensor so: they share what is moved
        view = cost.wants(layout, edge)
        alike = [e for e in plan.readers[edge.source] if cost.wants(layout, e) == view]
        asked = [(e.reader, e) for e in alike]
    proposal: Layout = {}
    for place, at in asked:
        form = None if place is None else _form_for(cost, layout, {}, at, place)
        if place is not None and form is not None:
            proposal[place] = form
    queue = deque(proposal)
    while queue:
        place = queue.popleft()
        for near in cost.plan.around[place]:
            ends = (cost.plan.maker(near.source), near.reader)
            other = ends[1] if ends[0] == place else ends[0]
            if other is None or other in proposal:
                continue
            form = _form_for(cost, layout, proposal, near, other)
            if form is not None:
                proposal[other] = form
                queue.append(other)
    return proposal


def _form_for(
    cost: Cost, layout: Layout, proposal: Layout, edge: Edge, place: Place
) -> Permuted | None:
    """The form with which a place at one end of an edge makes it free; None if none is needed."""
    now = ChainMap(proposal, layout)
    if not cost.edge(now, edge):
        return None
    plan = cost.plan
    if place == edge.reader:
        order = plan.wanted_order(edge, cost.lies(now, edge.source))
        found = plan.forms_with(place, edge.operand, order)
    else:
        node = plan.graph.producers.get(edge.source)
        result = 0 if node is None else node.outputs.index(edge.source)
        order = moving(plan.graph.type(edge.source).shape, cost.wants(now, edge))
        found = plan.forms_with(place, ~result, order)
    near = plan.around[place]

    def price(form: Permuted) -> int:
        return sum(cost.edge(now.new_child({place: form}), e) for e in near)

    return min(found, key=price, default=None)


def _cut(cost: Cost, layout: Layout, proposal: Layout) -> Layout:
    """The layout with the part of a proposal that pays."""
    if not proposal:
        return layout
    cut, plan = MinCut(), cost.plan
    after = ChainMap(proposal, layout)
    touched = {e.source: None for place in proposal for e in plan.around[place]}
    for source in touched:
        maker, readers = plan.maker(source), plan.readers[source]
        if maker not in proposal:
            for now, far in ((layout, False), (after, True)):
                _shared(cut, cost, readers, now, proposal, far=far)
        elif not any(edge.reader in proposal for edge in readers):
            cut.prefer(maker, cost.of(layout, readers) - cost.of(after, readers))
        else:
            for edge in readers:
                _pair(cut, cost, layout, proposal, edge)
    accepted = cut.right()
    return {**layout, **{p: form for p, form in proposal.items() if p in accepted}}


def _shared(
    cut: MinCut,
    cost: Cost,
    readers: list[Edge],
    layout: Mapping[Place, Permuted],
    proposal: Layout,
    *,
    far: bool,
) -> None:
    """The cost of what a fixed tensor is moved for: once for all who want it in one order.

    Args:
        cut: where the cost goes.
        cost: of edges.
        readers: all edges of the tensor.
        layout: the forms of the readers on one side of the cut.
        proposal: the readers that have a choice.
        far: whether that side is the right one, where the proposal is accepted.
    """
    groups: dict[View, list[Edge]] = {}
    for edge in readers:
        price = cost.edge(layout, edge)
        if price >= MOVED:
            groups.setdefault(cost.wants(layout, edge), []).append(edge)
        elif edge.reader in proposal:
            cut.prefer(edge.reader, -price if far else price)
    for view, group in groups.items():
        if any(edge.reader not in proposal for edge in group):
            continue  # moved in any case
        price = cost.of(layout, group)
        one = (group[0].source, view, far)
        cut.prefer(one, -price if far else price)
        for edge in group:
            left, right = (one, edge.reader) if far else (edge.reader, one)
            cut.pair(left, right, price)


def _pair(cut: MinCut, cost: Cost, layout: Layout, proposal: Layout, edge: Edge) -> None:
    """The cost of one edge between a maker that has a choice and a reader that may have one."""
    maker = cost.plan.maker(edge.source)
    assert maker is not None

    def price(*taken: Place) -> int:
        new = {place: proposal[place] for place in taken if place in proposal}
        return cost.edge(ChainMap(new, layout), edge)

    neither, both = price(), price(maker, edge.reader)
    late, early = price(edge.reader), price(maker)
    cut.prefer(maker, neither - early)
    if edge.reader in proposal:
        cut.prefer(edge.reader, early - both)
        cut.pair(maker, edge.reader, max(0, late + early - neither - both))
