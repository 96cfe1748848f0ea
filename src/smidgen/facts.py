"""What a model consists of: layers, parameters, multiply-accumulates, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smidgen.errors import SmidgenError
from smidgen.ir import Graph, Node

if TYPE_CHECKING:
    from smidgen.ops import Op
    from smidgen.targets.board import Board


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


@dataclass(frozen=True)
class BoardFacts:
    """What a model needs of a board, before anything is compiled.

    Args:
        board: its name.
        flash_bytes: the constants alone; code comes on top.
        ram_bytes: the planned arena and the states; the stack comes on top. None if some layer has
            no kernel.
        flash_limit, ram_limit: what the board has.
        advice: what to do about what does not fit, or keeps the model off any board.
    """

    board: str
    flash_bytes: int
    ram_bytes: int | None
    flash_limit: int
    ram_limit: int
    advice: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing is known to stand in the way."""
        return not self.advice


def describe_on(graph: Graph, board: Board) -> BoardFacts:
    """Whether a graph can fit a board: constants against flash, planned arena against RAM.

    Example:
        >>> from smidgen.targets.board import load_board
        >>> describe_on(int8, load_board("nucleo-l4r5zi")).fits
        True
    """
    from smidgen.backends.c.arena import plan_arena
    from smidgen.backends.c.compile import features
    from smidgen.backends.c.order_steps import order_steps
    from smidgen.backends.c.select_kernels import select_kernels

    facts = describe(graph)
    ram = None
    if not facts.obstacles:
        steps = order_steps(graph, select_kernels(graph, features=features(board), core=board.core))
        ram = plan_arena(graph, steps).bytes + graph.state_bytes
    advice = [f"{layer.label}: {layer.obstacle}" for layer in facts.obstacles]
    floats = [t for v in graph.values.values() if v.data is not None for t in [v.type]]
    is_float = any(t.dtype == "float32" and t.size > 1 for t in floats)
    if facts.constant_bytes > board.flash_bytes:
        way = (
            "`smidgen quantize` makes them a quarter"
            if is_float
            else "int4 weights or fewer channels"
        )
        advice.append(
            f"its constants are {facts.constant_bytes - board.flash_bytes:,} bytes more than the "
            f"flash: {way}"
        )
    if ram is not None and ram > board.ram_bytes:
        way = "`smidgen quantize` makes them a quarter; " if is_float else ""
        advice.append(
            f"its tensors are {ram - board.ram_bytes:,} bytes more than the RAM: {way}"
            f"`smidgen compile` may run layers by rows, which takes less"
        )
    return BoardFacts(
        board.name, facts.constant_bytes, ram, board.flash_bytes, board.ram_bytes, tuple(advice)
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
