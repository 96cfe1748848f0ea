"""Let a convolution or pool pad its own input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops._window import Window, pad_total
from smidgen.transforms.ranges import value_ranges
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D"}
POOLS = {"MAX_POOL_2D", "AVERAGE_POOL_2D"}


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fold the first PAD whose border is what padding SAME puts around the image."""
    for node in graph.nodes:
        pad = graph.producers.get(node.inputs[0] or "") if node.inputs else None
        if pad is None or pad.op.name not in ("PAD", "PADV2"):
            continue
        if node.op.name not in CONVOLUTIONS | POOLS or node.op.padding != "VALID":  # type: ignore[attr-defined]
            continue
        why = _why_not(graph, pad, node)
        if why:
            refuse(node, why)
            continue
        edit = GraphEditor(graph)
        op: Any = node.op
        inputs = (pad.inputs[0], *node.inputs[1:])
        edit.update(node, op=replace(op, padding="SAME"), inputs=inputs)
        return Patch(edit.finish(), node.label, f"does what {pad.label} did")
    return None


def _why_not(graph: Graph, pad: Node, node: Node) -> str:
    """Why the node cannot pad for itself; "" if it can."""
    source = pad.inputs[0]
    assert source is not None
    x, out = graph.type(source), graph.type(node.outputs[0])
    paddings = pad.op.paddings  # type: ignore[attr-defined]
    if x.rank != 4 or any(paddings[0]) or any(paddings[3]):
        return "more than height and width is padded"
    window = replace(_window(graph, node), padding="SAME")
    before = tuple(amount for amount, _ in paddings[1:3])
    if window.positions(x.shape) != out.shape[1:3] or not _starts_at(window, x.shape, before):
        return f"padding {paddings[1:3]} of height and width is not what SAME would pad"
    value = _value(graph, pad)
    zero = 0 if x.quant is None else x.quant.zero_point
    if node.op.name in CONVOLUTIONS:
        return "" if value == zero else "the border is not zero"
    touched = any(
        pad_total(x.shape[1 + i], out.shape[1 + i], window.kernel[i], window.stride[i], 1)
        for i in (0, 1)
    )
    if node.op.name == "AVERAGE_POOL_2D":
        return "the mean would no longer count the border" if touched else ""
    if value is None or (touched and not (value_ranges(graph)[source][0] >= value).all()):
        return "the border may be larger than the image"
    return ""


def _window(graph: Graph, node: Node) -> Window:
    op: Any = node.op
    if node.op.name in POOLS:
        window: Window = op.window
        return window
    weights = node.inputs[1]
    assert weights is not None
    of_weights: Window = op.window(graph.type(weights).shape)
    return of_weights


def _starts_at(window: Window, image: tuple[int, ...], before: tuple[int, ...]) -> bool:
    """Whether SAME puts so many rows and columns in front of the image."""
    return window.pad(image) == before


def _value(graph: Graph, pad: Node) -> float | None:
    """What the border is made of; None if that is known at run time only."""
    if pad.op.name == "PAD":
        quant = graph.type(pad.outputs[0]).quant
        return 0 if quant is None else quant.zero_point
    data = graph.data(pad.inputs[1])
    return None if data is None else float(np.asarray(data).item())


RULE = Rewrite("fold_pad", exact=True, requires="any", find=find)
