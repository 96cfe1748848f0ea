"""What `fold_permutation` leaves because a sum of floats would be taken in another order."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite
from smidgen.transforms.rewrites.fold_permutation import fold


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fold the first transpose that can be."""
    return fold(graph, inexact=True)


RULE = Rewrite("fold_permutation_in_float", exact=False, requires="any", find=find)
