"""What a model consists of: layers, parameters, multiply-accumulates, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smidgen.errors import SmidgenError
from smidgen.ir import Graph, Node

if TYPE_CHECKING:
    from smidgen.ops import Op


@dataclass(frozen=True)
class LayerFacts:
    """One node.

    Args:
        label: operator and layer.
        operator: LiteRT name.
        value: name of the (first) output.
        shape: of the output.
        dtype: of the output.
        macs: multiply-accumulates of one inference.
        parameters: elements of its constants.
        constant_bytes: bytes of its constants.
        obstacle: why no C kernel computes it, or None.
    """

    label: str
    operator: str
    value: str
    shape: tuple[int, ...]
    dtype: str
    macs: int
    parameters: int
    constant_bytes: int
    obstacle: str | None


@dataclass(frozen=True)
class ModelFacts:
    """A whole graph.

    Args:
        name: the model's name.
        inputs, outputs: "name: type" of each.
        states: the same of what it remembers from one inference to the next.
        layers: in execution order.
        macs: multiply-accumulates of one inference.
        parameters: elements of all constants.
        constant_bytes: their bytes.
        activation_bytes: the most bytes of activations alive at once, without overlaps.
        state_bytes: bytes of the states, which are kept besides.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    layers: tuple[LayerFacts, ...]
    macs: int
    parameters: int
    constant_bytes: int
    activation_bytes: int
    state_bytes: int

    @property
    def obstacles(self) -> tuple[LayerFacts, ...]:
        """The layers that keep the model off a board as it is."""
        return tuple(layer for layer in self.layers if layer.obstacle)


def describe(graph: Graph) -> ModelFacts:
    """Collect the facts about a graph.

    Example:
        >>> describe(model).macs
        58368
    """
    layers = tuple(_layer(graph, node) for node in graph.nodes)
    used = dict.fromkeys(n for node in graph.nodes for n in node.inputs if n is not None)
    constants = [graph.type(n) for n in used if graph.data(n) is not None]
    return ModelFacts(
        graph.name,
        tuple(f"{n}: {graph.type(n)}" for n in graph.inputs),
        tuple(f"{n}: {graph.type(n)}" for n in graph.outputs),
        tuple(f"{s.name}: {graph.type(s.input)}" for s in graph.states),
        layers,
        sum(layer.macs for layer in layers),
        sum(t.size for t in constants),
        sum(t.bytes for t in constants),
        _peak(graph),
        graph.state_bytes,
    )


def _layer(graph: Graph, node: Node) -> LayerFacts:
    op: Op = node.op  # type: ignore[assignment]
    types = graph.types(node.inputs)
    constants = [graph.type(n) for n in node.inputs if n and graph.data(n) is not None]
    out = graph.type(node.outputs[0])
    return LayerFacts(
        node.label,
        op.name,
        node.outputs[0],
        out.shape,
        out.dtype,
        op.macs(*types),
        sum(t.size for t in constants),
        sum(t.bytes for t in constants),
        _obstacle(graph, node),
    )


def _obstacle(graph: Graph, node: Node) -> str | None:
    from smidgen.backends.c.select_kernels import select_kernel

    try:
        select_kernel(graph, node)
    except SmidgenError as error:
        return error.message
    return None


def _peak(graph: Graph) -> int:
    last = {n: i for i, node in enumerate(graph.nodes) for n in node.inputs if n is not None}
    last.update(dict.fromkeys(graph.results, len(graph.nodes)))
    alive = {n: graph.type(n).bytes for n in graph.inputs}
    peak = sum(alive.values())
    for i, node in enumerate(graph.nodes):
        alive.update({n: graph.type(n).bytes for n in node.outputs})
        peak = max(peak, sum(alive.values()))
        for name in (*node.inputs, *node.outputs):
            if name in alive and last.get(name, -1) <= i:
                del alive[name]
    return peak
