"""Where a transpose costs nothing because `fold_permutation` will fold it into weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from smidgen.ir import Graph, Node
from smidgen.ops._order import Order
from smidgen.transforms.rewrites._reorder_channels import (
    MOVES,
    channel_order,
    downstream,
    upstream,
)

Absorber = Callable[[Order, Order], bool]
"""Whether bringing a tensor from one order into another can be folded into weights."""


def by_reader(graph: Graph, node: Node) -> Absorber | None:
    """For the operand of a reshape whose result is read by constants alone, in the end."""
    if node.op.name not in MOVES or node.op.name == "TRANSPOSE":
        return None
    (source,), (out,) = node.inputs, node.outputs
    assert source is not None
    return _absorber(
        graph,
        source,
        graph.type(out).shape,
        lambda size: downstream(graph, out, np.arange(size), inexact=True) is not None,
    )


def by_maker(graph: Graph, name: str) -> Absorber | None:
    """For the result of a reshape whose operand is made of constants, channel by channel."""
    node = graph.producers.get(name)
    if node is None or node.op.name not in MOVES or node.op.name == "TRANSPOSE":
        return None
    (source,) = node.inputs
    assert source is not None
    return _absorber(
        graph,
        name,
        graph.type(source).shape,
        lambda size: bool(upstream(graph, source, np.arange(size))),
    )


def _absorber(
    graph: Graph, name: str, channels: tuple[int, ...], possible: Callable[[int], bool]
) -> Absorber | None:
    """For a tensor whose movement is one of the channels of another shape."""
    shape = graph.type(name).shape
    if not channels or not possible(channels[-1]):
        return None

    @cache
    def absorbed(lies: Order, wanted: Order) -> bool:
        stored = np.arange(np.prod(shape, dtype=np.int64)).reshape([shape[a] for a in lies])
        places = stored.transpose(np.argsort(lies)).transpose(wanted)
        return channel_order(places.ravel(), channels) is not None

    return absorbed
