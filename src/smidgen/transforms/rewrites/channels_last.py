"""Turn a graph that came from a channels-first model into a channels-last one."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.ops import Op
from smidgen.ops._order import Permuted
from smidgen.transforms.rewrites import (
    fold_constants,
    fold_permutation_in_float,
    merge_constants,
    move_transposes,
    remove_identity,
    remove_unused,
    transpose_to_reshape,
)
from smidgen.transforms.rewrites._layout import Door
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite, apply


def to_channels_last(graph: Graph) -> Graph:
    """Move and cancel transposes, through the model's inputs and outputs where that helps.

    A front end writes each channels-first operator as the channels-last one between two
    transposes, and calls this once at the end. An input (n, c, ...) that is then only wanted
    channels-last becomes (n, ..., c), an output likewise, and its name is noted in
    `Graph.channels_first`: data in the source model's layout is transposed at the door.

    Args:
        graph: a float or integer graph.

    Returns:
        A graph that computes the same, with as few elements moved as we know how.

    Example:
        >>> from smidgen.ir import GraphBuilder, TensorType
        >>> from smidgen.ops import get_op
        >>> b = GraphBuilder()
        >>> x = b.input("x", TensorType((1, 3, 8, 8), "float32"))
        >>> image = b.add(get_op("TRANSPOSE")((0, 2, 3, 1)), [x])
        >>> pooled = b.add(get_op("MAX_POOL_2D")(2, 2, 2, 2), [image])
        >>> first = b.build([b.add(get_op("TRANSPOSE")((0, 3, 1, 2)), [pooled], name="y")])
        >>> last = to_channels_last(first)
        >>> [node.op.name for node in last.nodes], last.type("x").shape, last.type("y").shape
        (['MAX_POOL_2D'], (1, 8, 8, 3), (1, 4, 4, 3))
        >>> sorted(last.channels_first)
        ['x', 'y']
    """
    return apply(graph, RULES)[0]


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Move what can be moved, out of the graph if need be."""
    inputs = [Door(name, output=False) for name in graph.inputs]
    outputs = [Door(name, output=True) for name in graph.outputs]
    doors = {
        door: _last(graph, door)
        for door in (*inputs, *outputs)
        if door.name not in graph.channels_first
    }
    return move_transposes.move(graph, doors, inexact=True)


def _last(graph: Graph, door: Door) -> tuple[Permuted, ...]:
    """The form of a door (n, c, ...) that is (n, ..., c)."""
    rank = graph.type(door.name).rank
    order = (0, *range(2, rank), 1)
    return (Permuted(Op(), (order,), (order,)),) if rank > 2 else ()


RULE = Rewrite("channels_last", exact=False, requires="any", find=find)

RULES = (
    remove_unused.RULE,
    fold_constants.RULE,
    RULE,
    fold_permutation_in_float.RULE,
    remove_identity.RULE,
    transpose_to_reshape.RULE,
    merge_constants.RULE,
)
