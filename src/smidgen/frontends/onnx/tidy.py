"""What is done to a graph once its operators are all there."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.transforms.rewrites.channels_last import to_channels_last


def tidy(graph: Graph) -> Graph:
    """The graph channels last, without transposes inside and without what does nothing."""
    return to_channels_last(graph)
