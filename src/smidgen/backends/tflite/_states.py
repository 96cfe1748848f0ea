"""How a graph's states are written: as variable tensors or as resource variables.

A variable tensor belongs to an operator that has such an operand (SVDF, LSTM), also where the graph
begins with zeros every time: as with TensorFlow's converter, whoever runs the file resets it before
each sequence. All other states are resource variables. Such a one is read into a tensor just before
its first reader runs, and assigned just after its new value is there, so that a runtime needs
memory for neither longer than it must.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph, Node, State, TensorType, numpy_dtype
from smidgen.ops import Op


@dataclass(frozen=True)
class Read:
    """READ_VARIABLE: a state's value at the start of the step."""

    state: State


@dataclass(frozen=True)
class Assign:
    """ASSIGN_VARIABLE: what a state becomes."""

    state: State


def variable_tensors(graph: Graph) -> dict[str, str]:
    """The values that variable tensors stand for: what a step starts with, by what it becomes.

    Raises:
        UnsupportedModelError: An operator that keeps its state in a variable tensor does not have
            it for itself, or the state does not start at zero.
    """
    found: dict[str, str] = {}
    by_input = {s.input: s for s in graph.states}
    for node in graph.nodes:
        assert isinstance(node.op, Op)
        for operand, output in node.op.states.items():
            value = node.inputs[operand]
            if value is None:
                continue
            state, becomes = by_input.get(value), node.outputs[output]
            if graph.data(value) is not None:
                _check_constant(graph, node, value, becomes)
                continue
            if state is None or state.output != becomes or not _alone(graph, value, becomes):
                raise UnsupportedModelError(
                    f"keeps its state in {value!r}, which has other uses too",
                    where=node.label,
                    hint=".tflite has no form for this: let the operator have a state of its own",
                )
            if not _starts_at_zero(graph, state):
                raise UnsupportedModelError(
                    f"state {state.name!r} does not start at zero",
                    where=node.label,
                    hint=".tflite has no form for this: begin with zeros",
                )
            found[becomes] = value
    return found


def _alone(graph: Graph, value: str, becomes: str) -> bool:
    """Whether one operator alone reads a state, and the step's end alone what becomes of it."""
    read = sum(node.inputs.count(value) for node in graph.nodes) + graph.results.count(value)
    kept = len(graph.consumers[becomes]) + graph.results.count(becomes)
    return (read, kept) == (1, 1)


def _check_constant(graph: Graph, node: Node, value: str, becomes: str) -> None:
    """Refuse an operator that begins with constants unless a variable tensor can stand for them.

    It starts with zeros, and is up to whoever runs the model to reset before the next sequence.
    """
    data = graph.data(value)
    assert data is not None
    if not _is_zero(graph.type(value), data):
        raise UnsupportedModelError(
            f"begins with {value!r}, which is not zero",
            where=node.label,
            hint=".tflite has no form for this: begin with zeros, or unroll the layer",
        )
    if graph.consumers[becomes] or becomes in graph.results:
        raise UnsupportedModelError(
            f"what it remembers in the end, {becomes!r}, is read",
            where=node.label,
            hint=".tflite has no form for this: unroll the layer",
        )


def _starts_at_zero(graph: Graph, state: State) -> bool:
    return _is_zero(graph.type(state.input), state.initial)


def _is_zero(type: TensorType, data: np.ndarray[Any, Any]) -> bool:
    zero = type.quant.zero_point if type.quant is not None and type.dtype == "int8" else 0
    return bool((data == np.array(zero, numpy_dtype(type.dtype))).all())


def schedule(graph: Graph, states: tuple[State, ...]) -> Iterator[Node | Read | Assign]:
    """Yield the graph's nodes in order, and between them when each state is read and assigned.

    Args:
        graph: The graph.
        states: Those of its states that are resource variables.
    """
    unread = {s.input: s for s in states}
    last_use = {n: i for i, node in enumerate(graph.nodes) for n in node.inputs}
    last_use.update(dict.fromkeys(graph.results, len(graph.nodes)))

    def read(name: str | None) -> Iterator[Read]:
        if name in unread:
            yield Read(unread.pop(name))

    changing = [s for s in states if s.output != s.input]
    left = {s.name: s for s in changing}
    for i, node in enumerate(graph.nodes):
        for name in node.inputs:
            yield from read(name)
        yield node
        for state in changing:
            if state.output in node.outputs:
                if last_use.get(state.input, -1) > i:
                    yield from read(state.input)
                yield Assign(left.pop(state.name))
    for name in graph.results:
        yield from read(name)
    yield from map(Assign, left.values())
