"""Let a convolution look at distant pixels by itself.

TensorFlow writes a dilated convolution as SPACE_TO_BATCH_ND, a convolution without gaps, and
BATCH_TO_SPACE_ND, since its kernels once had no dilation. It pads in the first of them and cuts
off in the last what it padded too much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from smidgen.ir import Graph, GraphEditor, Node, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites._edit import only_reader
from smidgen.transforms.rewrites._rewrite import Patch, Refuse, Rewrite

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
RENAMES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def find(graph: Graph, refuse: Refuse) -> Patch | None:
    """Fold the first two around a convolution that does what they do."""
    for node in graph.nodes:
        if node.op.name != "BATCH_TO_SPACE_ND":
            continue
        chain = _chain(graph, node)
        if chain is None:
            continue
        why = _why_not(chain)
        if why:
            refuse(node, why)
            continue
        return Patch(_folded(graph, chain), node.label, f"{chain.convolution.label} is dilated now")
    return None


@dataclass(frozen=True)
class _Chain:
    """The operators from SPACE_TO_BATCH_ND to BATCH_TO_SPACE_ND."""

    first: Node
    inner: tuple[Node, ...]  # without what only adds and removes an axis of height 1
    last: Node
    source: TensorType

    @property
    def convolution(self) -> Node:
        return next(node for node in self.inner if node.op.name in CONVOLUTIONS)

    @property
    def borders(self) -> list[tuple[int, int]]:
        """What is padded on each axis, less what is cut off afterwards."""
        pads: Any = self.first.op.paddings  # type: ignore[attr-defined]
        crops: Any = self.last.op.crops  # type: ignore[attr-defined]
        return [(a - c, b - d) for (a, b), (c, d) in zip(pads, crops, strict=True)]


def _chain(graph: Graph, last: Node) -> _Chain | None:
    inner: list[Node] = []
    node, read = last, last.inputs[0]
    while read is not None and only_reader(graph, read) is node:
        made = graph.producers.get(read)
        if made is None:
            return None
        node, read = made, made.inputs[0]
        if node.op.name == "SPACE_TO_BATCH_ND":
            count = sum(n.op.name in CONVOLUTIONS for n in inner)
            if count != 1 or read is None:
                return None
            return _Chain(node, tuple(inner[::-1]), last, graph.type(read))
        if node.op.name in RENAMES:
            if not _is_height(graph, node):
                return None
        elif node.op.name in CONVOLUTIONS or _is_elementwise(graph, node):
            inner.append(node)
        else:
            return None
    return None


def _is_height(graph: Graph, node: Node) -> bool:
    """Whether a line becomes an image of height 1, or the other way round."""
    shapes = [graph.type(name).shape for name in (node.inputs[0], node.outputs[0]) if name]
    short, long = sorted(shapes, key=len)
    return (len(short), len(long)) == (3, 4) and long == (short[0], 1, *short[1:])


def _is_elementwise(graph: Graph, node: Node) -> bool:
    """Whether each element follows from the one in its place and constants of its channel."""
    x, out = graph.type(node.inputs[0] or ""), graph.type(node.outputs[0])
    others = [graph.values[name] for name in node.inputs[1:] if name is not None]
    rows: Any = node.op.rows(*graph.types(node.inputs))  # type: ignore[attr-defined]
    same = x.shape == out.shape and (not others or bool(rows)) and len(node.outputs) == 1
    unary = not others and node.op.axes(x) == get_op("RELU")().axes(x)  # type: ignore[attr-defined]
    by_channel = others and all(
        v.data is not None and (v.type.rank == 0 or set(v.type.shape[:-1]) <= {1}) for v in others
    )
    return same and bool(unary or by_channel)


def _why_not(chain: _Chain) -> str:
    """Why the convolution cannot do it all; "" if it can."""
    op: Any = chain.convolution.op
    first: Any = chain.first.op
    last: Any = chain.last.op
    if first.block_shape != last.block_shape:
        return f"blocks of {first.block_shape} become blocks of {last.block_shape}"
    if op.padding != "VALID" or (op.stride_h, op.stride_w) != (1, 1):
        return "the convolution pads or strides within the blocks"
    if (op.dilation_h_factor, op.dilation_w_factor) != (1, 1):
        return "the convolution is dilated already"
    if any(amount < 0 for pair in chain.borders for amount in pair):
        return "more is cut off than was padded"
    return ""


def _folded(graph: Graph, chain: _Chain) -> Graph:
    edit = GraphEditor(graph)
    x = chain.source
    image = (x.shape[0], 1, *x.shape[1:])[-4:] if x.rank == 3 else x.shape
    block_h, block_w = (1, *chain.first.op.block_shape)[-2:]  # type: ignore[attr-defined]
    current = chain.first.inputs[0]
    assert current is not None

    def append(op: Any, others: tuple[str | None, ...], quant: Any, name: str) -> str:
        return edit.insert(op, [current, *others], quant=quant, name=name, hint=name or None)

    if x.rank == 3:
        current = append(get_op("RESHAPE")(image), (), x.quant, "")  # type: ignore[call-arg]
    pads = ((0, 0), *((0, 0), *chain.borders)[-2:], (0, 0))
    if any(map(any, pads)):
        current = append(get_op("PAD")(pads), (), x.quant, "")  # type: ignore[call-arg]
    for node in chain.inner:
        op: Any = node.op
        if node is chain.convolution:
            op = replace(op, dilation_h_factor=block_h, dilation_w_factor=block_w)
        current = append(op, node.inputs[1:], graph.type(node.outputs[0]).quant, node.name)
    if x.rank == 3:
        out = graph.type(chain.last.outputs[0])
        current = append(get_op("RESHAPE")(out.shape), (), out.quant, "")  # type: ignore[call-arg]
    made = edit.nodes.pop()  # the last one gives the result its name
    del edit.values[current]
    edit.replace_node(chain.last, replace(made, outputs=chain.last.outputs))
    return edit.finish()


RULE = Rewrite("fold_space_to_batch", exact=True, requires="any", find=find)
