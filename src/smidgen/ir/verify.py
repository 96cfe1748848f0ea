"""Check that a graph is well formed. Runs before and after every pass."""

from __future__ import annotations

from smidgen.errors import GraphError
from smidgen.ir.graph import Graph, Node, State
from smidgen.ir.int4 import INT4_MAX, INT4_MIN
from smidgen.ir.types import numpy_dtype


def verify(graph: Graph) -> None:
    """Check names, order, types and quantization of a graph.

    Args:
        graph: any graph.

    Raises:
        GraphError: naming the node or value and what is wrong with it.
    """
    defined: set[str] = set()
    for name, value in graph.values.items():
        if name != value.name:
            raise GraphError(f"value {value.name!r} is filed under {name!r}")
        if value.data is not None:
            if value.data.shape != value.type.shape:
                raise GraphError(
                    f"constant {name!r} has shape {value.data.shape}, its type {value.type.shape}"
                )
            if value.data.dtype != numpy_dtype(value.type.dtype):
                raise GraphError(
                    f"constant {name!r} holds {value.data.dtype}, its type says {value.type.dtype}"
                )
            if value.type.dtype == "int4" and value.data.size:
                low, high = int(value.data.min()), int(value.data.max())
                if low < INT4_MIN or high > INT4_MAX:
                    raise GraphError(
                        f"constant {name!r} is int4 but holds {low if low < INT4_MIN else high}"
                    )
            defined.add(name)
        _check_channels(graph, name)
    for name in graph.inputs:
        if name not in graph.values:
            raise GraphError(f"input {name!r} is not a value of the graph")
        if name in defined:
            raise GraphError(f"input {name!r} is also a constant or listed twice")
        defined.add(name)
    for state in graph.states:
        if state.input not in graph.values:
            raise GraphError(f"{_called(state)} is held by {state.input!r}, which has no type")
        if state.input in defined:
            raise GraphError(
                f"{_called(state)} is held by {state.input!r}, which is something else"
            )
        defined.add(state.input)
    for node in graph.nodes:
        _check_node(graph, node, defined)
    for name in graph.outputs:
        if name not in defined:
            raise GraphError(f"output {name!r} is never computed")
    for state in graph.states:
        _check_state(graph, state, defined)
    if len({s.name for s in graph.states}) < len(graph.states):
        raise GraphError("two states have the same name")


def _called(state: State) -> str:
    return f"state {state.name!r}"


def _check_state(graph: Graph, state: State, defined: set[str]) -> None:
    if state.output not in defined:
        raise GraphError(f"{_called(state)} becomes {state.output!r}, which is never computed")
    type, becomes = graph.type(state.input), graph.type(state.output)
    if type != becomes:
        raise GraphError(f"{_called(state)} is {type}, but becomes {state.output!r}, {becomes}")
    initial = state.initial
    if (initial.shape, initial.dtype) != (type.shape, numpy_dtype(type.dtype)):
        raise GraphError(
            f"{_called(state)} is {type}, but starts as {initial.dtype}{list(initial.shape)}"
        )


def _check_channels(graph: Graph, name: str) -> None:
    type = graph.values[name].type
    if type.quant is not None and type.quant.axis is not None:
        axis = type.quant.axis
        if not 0 <= axis < type.rank or type.shape[axis] != len(type.quant.scales):
            raise GraphError(
                f"value {name!r} of shape {type.shape} has {len(type.quant.scales)} scales "
                f"on axis {axis}"
            )


def _check_node(graph: Graph, node: Node, defined: set[str]) -> None:
    for name in node.inputs:
        if name is not None and name not in defined:
            raise GraphError(f"{node.label} reads {name!r} before it is computed")
    inputs = graph.types(node.inputs)
    try:
        inferred = node.op.infer(*inputs)
    except ValueError as error:
        raise GraphError(f"{node.label}: {error}") from error
    if len(inferred) != len(node.outputs):
        raise GraphError(f"{node.label} has {len(node.outputs)} outputs, not {len(inferred)}")
    for name, want in zip(node.outputs, inferred, strict=True):
        if name in defined:
            raise GraphError(f"{node.label} computes {name!r} a second time")
        if name not in graph.values:
            raise GraphError(f"{node.label} computes {name!r}, which has no type")
        got = graph.type(name)
        if (got.shape, got.dtype) != (want.shape, want.dtype):
            raise GraphError(
                f"{node.label}: output {name!r} is {got.dtype}{list(got.shape)}, "
                f"its operands make it {want.dtype}{list(want.shape)}"
            )
        defined.add(name)
    try:
        node.op.check_quant(inputs, tuple(graph.type(n) for n in node.outputs))
    except ValueError as error:
        raise GraphError(f"{node.label}: {error}") from error
