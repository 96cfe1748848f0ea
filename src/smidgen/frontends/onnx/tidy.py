"""What is done to a graph once its operators are all there."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.transforms.rewrites import apply
from smidgen.transforms.rewrites import fold_constants as _fold
from smidgen.transforms.rewrites import remove_identity as _identity
from smidgen.transforms.rewrites import remove_unused as _unused


def tidy(graph: Graph) -> Graph:
    """The graph without what does nothing."""
    return apply(graph, (_unused.RULE, _fold.RULE, _identity.RULE))[0]
