"""Which values each tensor can hold, whatever the input: ranges carried through the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smidgen.ir import Graph
from smidgen.ops import NodeTypes
from smidgen.ops._range import Range, unknown

if TYPE_CHECKING:
    from smidgen.ops import Op


def value_ranges(graph: Graph) -> dict[str, Range]:
    """Bounds of every element of every value, for all inputs that the graph's types allow.

    They follow from the operators' `value_range` alone, so a bound may be wider than what the
    model reaches, but never narrower; elements with equal bounds are constants.

    Args:
        graph: any graph.

    Returns:
        For each value, arrays (low, high) of its shape and dtype. Constants are their own bounds.
    """
    ranges: dict[str, Range] = {n: unknown(graph.type(n)) for n in graph.sources}
    ranges |= {n: (v.data, v.data) for n, v in graph.values.items() if v.data is not None}
    for node in graph.nodes:
        op: Op = node.op  # type: ignore[assignment]
        types = NodeTypes(graph.types(node.inputs), tuple(graph.type(n) for n in node.outputs))
        operands = (None if n is None else ranges[n] for n in node.inputs)
        with np.errstate(all="ignore"):  # weights may be NaN, infinite or too large to add up
            found = op.value_range(types, *operands)
        ranges.update(zip(node.outputs, found, strict=True))
    return ranges
