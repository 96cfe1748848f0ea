"""A small builder: make graphs by hand, in front ends and in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from smidgen.errors import GraphError
from smidgen.ir.graph import Graph, Node, Operator, State, Value
from smidgen.ir.types import QuantParams, TensorType, numpy_dtype
from smidgen.ir.verify import verify


class GraphBuilder:
    """Collects values and nodes in execution order and returns a verified Graph.

    Example:
        >>> from smidgen.ops import get_op
        >>> b = GraphBuilder("twice")
        >>> x = b.input("x", TensorType((1, 4), "float32"))
        >>> y = b.add(get_op("ADD")(), [x, x])
        >>> b.build([y]).outputs
        ('add',)
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self._inputs: list[str] = []
        self._values: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._channels_first: set[str] = set()
        self._states: dict[str, tuple[str, np.ndarray[Any, Any], bool]] = {}
        self._becomes: dict[str, str] = {}

    def fresh(self, hint: str) -> str:
        """A name that no value has yet, made from `hint`."""
        name, count = hint, 1
        while name in self._values:
            name, count = f"{hint}_{count}", count + 1
        return name

    def type(self, name: str) -> TensorType:
        """The type of a value made so far."""
        return self._values[name].type

    def data(self, name: str) -> np.ndarray[Any, Any] | None:
        """The array of a constant made so far, None for an activation."""
        return self._values[name].data

    def input(self, name: str, type: TensorType, *, channels_first: bool = False) -> str:
        """Declare a graph input and return its name."""
        name = self.fresh(name)
        self._values[name] = Value(name, type)
        self._inputs.append(name)
        if channels_first:
            self._channels_first.add(name)
        return name

    def state(
        self,
        name: str,
        type: TensorType,
        initial: np.ndarray[Any, Any] | None = None,
        *,
        shared: bool = False,
    ) -> str:
        """Declare a state and return the name of the value that holds it during a step.

        Args:
            name: of the state and, made unique, of that value.
            type: of the value.
            initial: what it is at first; zeros by default (the zero point, if it has one).
            shared: whether other functions of the model know it too (see `State`).

        Example:
            A running sum:

            >>> from smidgen.ops import get_op
            >>> b = GraphBuilder("sum")
            >>> x = b.input("x", TensorType((1, 4), "float32"))
            >>> total = b.state("total", TensorType((1, 4), "float32"))
            >>> y = b.add(get_op("ADD")(), [x, total])
            >>> b.becomes(total, y)
            >>> b.build([y]).states[0].output
            'add'
        """
        value = self.fresh(name)
        self._values[value] = Value(value, type)
        if initial is None:
            zero = type.quant.zero_point if type.quant is not None else 0
            initial = np.full(type.shape, zero, numpy_dtype(type.dtype))
        self._states[value] = (name, np.ascontiguousarray(initial), shared)
        return value

    def becomes(self, state: str, output: str) -> None:
        """Say which value a state becomes at the end of the step.

        Args:
            state: what `state` returned.
            output: the value.
        """
        self._becomes[state] = output

    def constant(
        self,
        data: np.ndarray[Any, Any],
        *,
        name: str = "const",
        quant: QuantParams | None = None,
        dtype: str | None = None,
    ) -> str:
        """Add a constant and return its name; `dtype` overrides the array's (for int4)."""
        name = self.fresh(name)
        array = np.ascontiguousarray(data)
        self._values[name] = Value(
            name, TensorType(array.shape, dtype or str(array.dtype), quant), array
        )
        return name

    def add(
        self,
        op: Operator,
        inputs: list[str | None] | list[str],
        *,
        name: str = "",
        quant: QuantParams | tuple[QuantParams | None, ...] | None = None,
        outputs: list[str] | None = None,
    ) -> str:
        """Append a single-output node and return its output's name; see `add_multi`."""
        return self.add_multi(op, inputs, name=name, quant=quant, outputs=outputs)[0]

    def add_multi(
        self,
        op: Operator,
        inputs: list[str | None] | list[str],
        *,
        name: str = "",
        quant: QuantParams | tuple[QuantParams | None, ...] | None = None,
        outputs: list[str] | None = None,
    ) -> tuple[str, ...]:
        """Append a node; output types come from `op.infer`, quantization from `quant`.

        Args:
            op: the operator.
            inputs: operand names, None for an operand left out.
            name: the layer's name for messages.
            quant: quantization of the outputs (one for all, or one for each).
            outputs: names for the outputs; made from the layer's name otherwise.

        Returns:
            The names of the outputs.

        Raises:
            ValueError: if the operator does not accept the operands.
        """
        types = op.infer(*(None if n is None else self._values[n].type for n in inputs))
        quants = quant if isinstance(quant, tuple) else (quant,) * len(types)
        hints = outputs or [name or op.name.lower()] * len(types)
        names = []
        for hint, type, params in zip(hints, types, quants, strict=True):
            out = self.fresh(hint)
            self._values[out] = Value(out, type.with_quant(params))
            names.append(out)
        self._nodes.append(Node(op, tuple(inputs), tuple(names), name))
        return tuple(names)

    def build(self, outputs: list[str], *, channels_first: Iterable[str] = ()) -> Graph:
        """The finished graph, verified.

        Args:
            outputs: names of the outputs, in order.
            channels_first: those that are channels-first in the source model.

        Raises:
            GraphError: if it is not well formed, or a state does not become anything.
        """
        for value, (name, _, _) in self._states.items():
            if value not in self._becomes:
                raise GraphError(f"state {name!r} never becomes anything")
        graph = Graph(
            self.name,
            tuple(self._inputs),
            tuple(outputs),
            dict(self._values),
            tuple(self._nodes),
            frozenset({*self._channels_first, *channels_first}),
            tuple(
                State(name, value, self._becomes[value], initial, shared)
                for value, (name, initial, shared) in self._states.items()
            ),
        )
        verify(graph)
        return graph
