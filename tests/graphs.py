"""Comparing graphs."""

from __future__ import annotations

import numpy as np

from smidgen.ir import Graph


def difference(a: Graph, b: Graph, *, names: bool = False) -> str:
    """Say where two graphs differ in structure, types or constants; "" if they are equal.

    Args:
        a: A graph.
        b: Another.
        names: Whether the names of values must be the same, too.
    """
    twin: dict[str, str] = {}

    def match(x: str | None, y: str | None, where: str) -> str:
        if x is None or y is None:
            return "" if x is y else f"{where}: {x} and {y}"
        if names and x != y:
            return f"{where}: names {x!r} and {y!r}"
        if x in twin:
            return "" if twin[x] == y else f"{where}: {x!r} is {twin[x]!r} elsewhere, not {y!r}"
        left, right = a.values[x], b.values[y]
        if left.type != right.type:
            return f"{where}: {left.type} and {right.type}"
        if (left.data is None) != (right.data is None):
            return f"{where}: only one is constant"
        if left.data is None:  # equal constants may be one value in one graph and two in the other
            twin[x] = y
        elif right.data is None or not np.array_equal(left.data, right.data, equal_nan=True):
            return f"{where}: constants differ"
        return ""

    def match_all(xs: tuple[str | None, ...], ys: tuple[str | None, ...], where: str) -> str:
        if len(xs) != len(ys):
            return f"{where}: {len(xs)} and {len(ys)}"
        found = (match(x, y, f"{where} {i}") for i, (x, y) in enumerate(zip(xs, ys, strict=True)))
        return next((text for text in found if text), "")

    if len(a.nodes) != len(b.nodes):
        return f"{len(a.nodes)} and {len(b.nodes)} nodes"
    found = match_all(a.sources, b.sources, "inputs and states")
    for i, (left, right) in enumerate(zip(a.nodes, b.nodes, strict=True)):
        if found:
            break
        if left.op != right.op:
            return f"node {i}: {left.op} and {right.op}"
        where = f"node {i} {left.op.name}"
        found = match_all(left.inputs, right.inputs, f"{where} operands")
        found = found or match_all(left.outputs, right.outputs, f"{where} results")
    found = found or match_all(a.results, b.results, "outputs and new states")
    starts = zip(a.states, b.states, strict=True) if not found else ()
    alike = all(np.array_equal(x.initial, y.initial) for x, y in starts)
    return found or ("" if alike else "states start differently")
