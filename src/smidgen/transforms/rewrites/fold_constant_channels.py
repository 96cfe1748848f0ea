"""Take out the channels that never vary or are never read; what they added goes into the bias.

A channel of a trained network is often dead: its filter is zero, or its activation is clamped
whatever the input. Its value is then a number that can be worked out now, and so is what it adds
to the sums of the layer that reads it. The rule

1. bounds every value of the graph for all possible inputs (`value_ranges`),
2. finds the channels that add the same number to every sum of each layer that reads them, be it
   because they are constant or because every weight that reads them is zero,
3. adds that number to the layer's bias, and
4. removes the channel wherever it lives: filters, weights, depthwise taps, both sides of an
   addition, pools, reshapes (`Channels`).

It is exact. A constant other than the zero point adds less where a window hangs over the border,
because padding stands for the zero point; so what a channel adds is worked out for every position,
and the channel stays unless that is one number.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, Node, QuantParams
from smidgen.ops import NodeTypes, Role
from smidgen.ops._range import Range
from smidgen.transforms.ranges import value_ranges
from smidgen.transforms.rewrites._edit import set_constant
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite
from smidgen.transforms.shrink import Channels, Site

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Remove every channel that can go at once; see the module's docstring."""
    graph = GraphEditor(graph).finish()  # what no output needs would hold channels back
    channels = Channels(graph)
    ranges = value_ranges(graph)
    gone = {label for site in channels.sites for label in site.channels.tolist()}
    gone -= set(channels.pinned)
    added: dict[str, dict[int, Array]] = {}  # what each channel adds, by the node's output
    for site in channels.sites:
        if site.absorbs:
            folded = _contributions(graph, site, gone, ranges, refuse)
            gone -= set(site.channels.tolist()) - set(folded)
            added[site.node.outputs[0]] = folded
    _keep_some(channels, gone)
    biases = _new_biases(graph, added, gone, refuse)
    if not gone:
        return None
    edit = GraphEditor(channels.remove(gone))
    for output, bias in biases.items():
        stay = channels.kept(output, -1, gone)
        _set_bias(edit, edit.graph.producers[output], bias[stay])
    makers = list(_makers(channels, gone))
    where = makers[0] + (f" and {len(makers) - 1} more" if len(makers) > 1 else "")
    return Patch(edit.finish(), where, f"{len(gone)} channels are constant or never read")


def _contributions(
    graph: Graph, site: Site, candidates: set[int], ranges: dict[str, Range], refuse: Refuse
) -> dict[int, Array]:
    """What each candidate adds to the node's sums, (outputs,), if that is always the same."""
    node, op = site.node, _op(site.node)
    types = NodeTypes(graph.types(node.inputs), tuple(graph.type(n) for n in node.outputs))
    found: dict[int, Array] = {}
    varying: set[int] = set()
    at_border = 0
    for channel, label in enumerate(site.channels.tolist()):
        if label not in candidates or label in varying:
            continue
        parts = [None if n is None else ranges[n] for n in node.inputs]
        for member in site.coupling.members:
            whole = parts[member.operand]
            assert whole is not None
            parts[member.operand] = _take(whole, member.positions(channel), member.axis)
        if _is_live(parts):
            varying.add(label)
            continue
        sums = op.contribution(types, *parts)
        if sums is None:
            return {}
        low, high = (end.reshape(-1, end.shape[-1]) for end in sums)
        if (low == high).all() and (low == low[0]).all():
            found[label] = found[label] + low[0] if label in found else low[0]
        else:
            varying.add(label)
            at_border += bool((low == high).all())
    if at_border:
        refuse(node, f"{at_border} of its input channels are constant but differ at the border")
    return {label: total for label, total in found.items() if label not in varying}


def _is_live(parts: list[Range | None]) -> bool:
    """Whether it is plain that sums vary: no element is constant, and some weight is not zero."""
    assert parts[0] is not None and parts[1] is not None
    return bool((parts[0][0] != parts[0][1]).all() and parts[1][0].any())


def _take(whole: Range, positions: list[int], axis: int) -> Range:
    """Some positions of a range; a constant's two bounds stay one array."""
    low = np.take(whole[0], positions, axis)
    return (low, low) if whole[0] is whole[1] else (low, np.take(whole[1], positions, axis))


def _keep_some(channels: Channels, gone: set[int]) -> None:
    """Take channels out of `gone` until every axis has one left."""
    while emptied := channels.emptied(gone):
        often = Counter(label for labels in emptied for label in set(labels.tolist()))
        gone.remove(max(sorted(often), key=lambda label: often[label]))


def _new_biases(
    graph: Graph, added: dict[str, dict[int, Array]], gone: set[int], refuse: Refuse
) -> dict[str, Array]:
    """The bias of each node whose bias changes, before its own outputs shrink.

    Channels that a bias cannot take in are taken out of `gone`.
    """
    while True:
        biases: dict[str, Array] = {}
        for output, folded in added.items():
            node = graph.producers[output]
            total = sum(folded[label] for label in gone & folded.keys())
            if not np.any(total):
                continue
            name, dtype = _bias(graph, node)
            old = np.zeros(1, np.int64) if name is None else graph.data(name)
            why = "its bias is computed at run time"
            if old is not None:
                biases[output] = old.reshape(-1).astype(np.int64) + total
                limit = np.iinfo(dtype)
                if (biases[output] >= limit.min).all() and (biases[output] <= limit.max).all():
                    continue
                why = "its bias would overflow"
            refuse(
                node, f"{len(gone & folded.keys())} of its input channels are constant, but {why}"
            )
            gone.difference_update(folded)
            break
        else:
            return biases


def _bias(graph: Graph, node: Node) -> tuple[str | None, str]:
    """The name of the node's bias (None if it has none) and its dtype."""
    index = _bias_index(graph, node)
    name = node.inputs[index] if index < len(node.inputs) else None
    if name is not None:
        return name, graph.type(name).dtype
    return None, "int64" if graph.type(node.outputs[0]).dtype == "int16" else "int32"


def _bias_index(graph: Graph, node: Node) -> int:
    return _op(node).quant_rule(*graph.types(node.inputs)).roles.index(Role.BIAS)


def _set_bias(edit: GraphEditor, node: Node, bias: Array) -> None:
    """Give a node this bias, at the scale that its input and weights have."""
    x, w = edit.graph.types(node.inputs)[:2]
    assert x is not None and w is not None and x.quant is not None and w.quant is not None
    scales = tuple(x.quant.scale * scale for scale in w.quant.scales)
    quant = QuantParams(scales, (0,) * len(scales), None if w.quant.axis is None else 0)
    name, dtype = _bias(edit.graph, node)
    if name is not None:
        quant = edit.graph.type(name).quant or quant
        bias = bias.reshape(edit.graph.type(name).shape)
    set_constant(edit, node, _bias_index(edit.graph, node), bias.astype(dtype), quant=quant)


def _makers(channels: Channels, gone: set[int]) -> dict[str, None]:
    """The nodes that made the channels, in order; later ones only pass them on."""
    seen: set[int] = set()
    makers: dict[str, None] = {}
    for site in channels.sites:
        new = (gone & set(site.channels.tolist())) - seen
        if new:
            makers[site.node.label] = None
            seen |= new
    return makers


def _op(node: Node) -> Op:
    return node.op  # type: ignore[return-value]


RULE = Rewrite("fold_constant_channels", exact=True, requires="any", find=find)
