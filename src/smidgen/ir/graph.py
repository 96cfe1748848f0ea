"""The graph: values by name, nodes in execution order. Immutable; passes return new graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from smidgen.ir.types import TensorType


class Operator(Protocol):
    """What the IR asks of an operator; the rest of its contract is in `smidgen.ops`."""

    @property
    def name(self) -> str:
        """The operator's LiteRT name, such as CONV_2D."""

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        """Output shapes and dtypes from the operands' types."""

    def check_quant(
        self, inputs: tuple[TensorType | None, ...], outputs: tuple[TensorType, ...]
    ) -> None:
        """Raise ValueError when quantization parameters break the operator's rule."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph: an input, a node's output, or a constant (then `data` is set)."""

    name: str
    type: TensorType
    data: np.ndarray[Any, Any] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is known before the model runs."""
        return self.data is not None


@dataclass(frozen=True)
class Node:
    """One operator applied to named values; `None` stands for an operand left out.

    Args:
        op: the operator with its attributes.
        inputs: names of the operands.
        outputs: names of the results.
        name: the layer it came from, for messages; need not be unique.
    """

    op: Operator
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    name: str = ""

    @property
    def label(self) -> str:
        """How messages name this node: operator and layer, or first output if it has no name.

        Converters join the names of all layers that went into a node by semicolons; the first
        one is enough to find it.
        """
        return f"{self.op.name} {(self.name or self.outputs[0]).split(';')[0]!r}"


@dataclass(frozen=True, eq=False)
class State:
    """What a graph remembers from one step to the next: a value read, and what becomes of it.

    Args:
        name: of the state, unique among the graph's; functions of one model share it by name.
        input: the value that holds it at the start of a step, defined like a graph input.
        output: the value that it becomes at the end of the step, of the same type.
        initial: its array at the first step and after each reset, of the value's type.
        shared: whether other functions of the model may read or write it too; it then stays
            whatever this graph does with it.
    """

    name: str
    input: str
    output: str
    initial: np.ndarray[Any, Any]
    shared: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: inputs, outputs, values by name and nodes in execution order.

    Graphs are never changed in place: use `GraphEditor` to make a changed copy. Shapes carry the
    batch axis of the source (1); evaluation and training widen it (see `smidgen.interpreter`).

    Args:
        name: the model's name, a C identifier is derived from it.
        inputs: names of the input values, in order.
        outputs: names of the output values, in order.
        values: every value by name.
        nodes: in execution order: operands are defined before they are used.
        channels_first: inputs and outputs, by name, that are channels-first, (n, c, ...), in the
            *source* model and channels-last, (n, ..., c), here. Data in the source's layout is
            transposed at the door (`smidgen.data`).
        states: what is remembered from one inference to the next.
        signature: the key by which the source model's users call this function of it, "" if none.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    channels_first: frozenset[str] = field(default_factory=frozenset)
    states: tuple[State, ...] = ()
    signature: str = ""

    def type(self, name: str) -> TensorType:
        """The type of the value called `name`."""
        return self.values[name].type

    def data(self, name: str | None) -> np.ndarray[Any, Any] | None:
        """The array of a constant; None for an activation or a missing operand."""
        return None if name is None else self.values[name].data

    def types(self, names: Iterable[str | None]) -> tuple[TensorType | None, ...]:
        """The types of several operands, None for a missing one."""
        return tuple(None if n is None else self.values[n].type for n in names)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that makes each value (inputs and constants have none)."""
        return {out: node for node in self.nodes for out in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value, in order, each once; values nobody reads map to ()."""
        found: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in dict.fromkeys(n for n in node.inputs if n is not None):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        """Types of the inputs, in order."""
        return tuple(self.type(n) for n in self.inputs)

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        """Types of the outputs, in order."""
        return tuple(self.type(n) for n in self.outputs)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Values that are there before the first node runs: inputs, then states."""
        return (*self.inputs, *(s.input for s in self.states))

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Values that are needed after the last node: outputs, then what states become."""
        return (*self.outputs, *(s.output for s in self.states))

    @property
    def state_bytes(self) -> int:
        """Bytes of all states."""
        return sum(self.type(s.input).bytes for s in self.states)

    def opened(self) -> Graph:
        """The same graph with its states as further inputs and outputs (see `closed`).

        One step of a graph with states is an ordinary function of inputs and states.
        """
        return replace(self, inputs=self.sources, outputs=self.results, states=())

    def closed(self, like: Graph) -> Graph:
        """The inverse of `opened`: this graph with the inputs, outputs and states of another."""
        return replace(self, inputs=like.inputs, outputs=like.outputs, states=like.states)

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constants that some node reads."""
        used = {n for node in self.nodes for n in node.inputs if n is not None}
        return sum(v.type.bytes for v in self.values.values() if v.is_constant and v.name in used)

    @property
    def is_quantized(self) -> bool:
        """Whether any activation is an integer tensor with a scale."""
        return any(v.type.quant is not None for v in self.values.values() if not v.is_constant)

    def renamed(self, name: str) -> Graph:
        """The same graph under another name."""
        return replace(self, name=name)

    def __str__(self) -> str:
        from smidgen.ir.text import to_text

        return to_text(self, constants=False)
