"""What `move_transposes` leaves because a sum of floats would be taken in another order."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite
from smidgen.transforms.rewrites.move_transposes import move


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Put the graph into its best layout."""
    return move(graph, {}, inexact=True)


RULE = Rewrite("move_transposes_in_float", exact=False, requires="any", find=find)
