"""A stable text form of a graph, for people, diffs and tests; `parse` reads it back."""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.errors import GraphError
from smidgen.ir.graph import Graph, Node, Operator, State, Value
from smidgen.ir.types import QuantParams, TensorType, numpy_dtype
from smidgen.ir.verify import verify

_PLAIN = re.compile(r"[A-Za-z_][\w./:-]*\Z")


def to_text(graph: Graph, *, constants: bool = True) -> str:
    """Print a graph, one value or node a line.

    Args:
        graph: the graph.
        constants: print constants in full (base64), so that `parse` can read them back; otherwise
            only their types.

    Returns:
        The text; equal graphs give equal text.
    """
    first = graph.channels_first
    signature = f" signature {_quote(graph.signature)}" if graph.signature else ""
    lines = [f"graph {_quote(graph.name)}{signature}"]
    for name in graph.inputs:
        layout = " channels_first" if name in first else ""
        lines.append(f"  input {_quote(name)}: {graph.type(name)}{layout}")
    for state in graph.states:
        shared = " shared" if state.shared else ""
        text = _data(state.initial) if constants else ""
        becomes = f"{_quote(state.input)}: {graph.type(state.input)} -> {_quote(state.output)}"
        lines.append(f"  state {_quote(state.name)}: {becomes}{shared}{text}")
    for name, value in graph.values.items():
        if value.data is not None:
            text = _data(value.data) if constants else ""
            lines.append(f"  const {_quote(name)}: {value.type}{text}")
    for node in graph.nodes:
        outs = ", ".join(f"{_quote(n)}: {graph.type(n)}" for n in node.outputs)
        ins = ", ".join("-" if n is None else _quote(n) for n in node.inputs)
        attrs = _attributes(node.op)
        layer = f" layer {_quote(node.name)}" if node.name else ""
        lines.append(f"  {outs} = {node.op.name}({ins}){attrs}{layer}")
    outputs = (f"{_quote(n)}{' channels_first' * (n in first)}" for n in graph.outputs)
    lines.append("  output " + ", ".join(outputs))
    return "\n".join(lines) + "\n"


def _data(array: np.ndarray[Any, Any]) -> str:
    return f" = {base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()}"


def _quote(name: str) -> str:
    return name if _PLAIN.match(name) else json.dumps(name)


def _attributes(op: Operator) -> str:
    fields = dataclasses.fields(op)  # type: ignore[arg-type]
    given = {f.name: getattr(op, f.name) for f in fields if getattr(op, f.name) != f.default}
    return f" {given!r}" if given else ""


def parse(text: str, get_op: Callable[[str], type[Any]]) -> Graph:
    """Read a graph printed with its constants.

    Args:
        text: what `to_text(graph)` gave.
        get_op: operator class by name (`smidgen.ops.get_op`).

    Returns:
        The graph, verified.

    Raises:
        GraphError: naming the line that cannot be read.
    """
    name, signature = "model", ""
    inputs: list[str] = []
    outputs: list[str] = []
    values: dict[str, Value] = {}
    nodes: list[Node] = []
    channels_first: set[str] = set()
    states: list[State] = []
    for number, line in enumerate(text.splitlines(), 1):
        scan = _Scanner(line.strip())
        try:
            if scan.take("graph "):
                name = scan.name()
                signature = scan.name() if scan.take(" signature ") else ""
            elif scan.take("input "):
                value = _typed(scan)
                inputs.append(value.name)
                values[value.name] = value
                if scan.take(" channels_first"):
                    channels_first.add(value.name)
            elif scan.take("const "):
                value = _typed(scan)
                values[value.name] = dataclasses.replace(value, data=_array(scan, value.type))
            elif scan.take("state "):
                state = scan.name()
                scan.need(": ")
                value = _typed(scan)
                values[value.name] = value
                scan.need(" -> ")
                output, shared = scan.name(), scan.take(" shared")
                states.append(State(state, value.name, output, _array(scan, value.type), shared))
            elif scan.take("output "):
                while not scan.done():
                    outputs.append(scan.name())
                    if scan.take(" channels_first"):
                        channels_first.add(outputs[-1])
                    scan.take(", ")
            elif not scan.done():
                nodes.append(_node(scan, values, get_op))
        except (ValueError, TypeError, SyntaxError) as error:
            raise GraphError(f"line {number} of the text cannot be read: {error}") from error
    graph = Graph(
        name,
        tuple(inputs),
        tuple(outputs),
        values,
        tuple(nodes),
        frozenset(channels_first),
        tuple(states),
        signature,
    )
    verify(graph)
    return graph


class _Scanner:
    """A cursor over one line."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def done(self) -> bool:
        return self.at >= len(self.text)

    def rest(self) -> str:
        text, self.at = self.text[self.at :], len(self.text)
        return text

    def take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise ValueError(f"expected {token!r} at column {self.at}")

    def match(self, pattern: str) -> str:
        found = re.compile(pattern).match(self.text, self.at)
        if not found:
            raise ValueError(f"unexpected text at column {self.at}")
        self.at = found.end()
        return found.group()

    def name(self) -> str:
        if self.text.startswith('"', self.at):
            value, end = json.JSONDecoder().raw_decode(self.text, self.at)
            self.at = end
            return str(value)
        return self.match(r"[A-Za-z_][\w./:-]*?(?=[\s,)]|: |\Z)")

    def literal(self, opening: str, closing: str) -> Any:
        depth, start, quote = 0, self.at, ""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if depth == 0:
                    return ast.literal_eval(self.text[start : self.at])
        raise ValueError(f"no closing {closing!r}")


def _array(scan: _Scanner, type: TensorType) -> np.ndarray[Any, Any]:
    scan.need(" = ")
    raw = base64.b64decode(scan.rest(), validate=True)
    return np.frombuffer(raw, numpy_dtype(type.dtype)).reshape(type.shape)


def _typed(scan: _Scanner) -> Value:
    name = scan.name()
    scan.need(": ")
    dtype = scan.match(r"[a-z]+\d*")
    shape = tuple(scan.literal("[", "]"))
    quant = None
    if scan.take(" quant("):
        body = scan.match(r"[^)]*")
        scan.need(")")
        call = ast.parse(f"f({body})", mode="eval").body
        assert isinstance(call, ast.Call)
        args = [ast.literal_eval(a) for a in call.args]
        axis = ast.literal_eval(call.keywords[0].value) if call.keywords else None
        scales, zeros = args if axis is not None else ([args[0]], [args[1]])
        quant = QuantParams(tuple(scales), tuple(zeros), axis)
    return Value(name, TensorType(shape, dtype, quant))


def _node(scan: _Scanner, values: dict[str, Value], get_op: Callable[[str], type[Any]]) -> Node:
    outs: list[str] = []
    while True:
        value = _typed(scan)
        values[value.name] = value
        outs.append(value.name)
        if not scan.take(", "):
            break
    scan.need(" = ")
    op_name = scan.match(r"[A-Z][A-Z0-9_]*")
    scan.need("(")
    ins: list[str | None] = []
    while not scan.take(")"):
        ins.append(None if scan.take("-") else scan.name())
        scan.take(", ")
    attrs: dict[str, Any] = {}
    if scan.take(" {"):
        scan.at -= 1
        attrs = scan.literal("{", "}")
    layer = scan.name() if scan.take(" layer ") else ""
    return Node(get_op(op_name)(**attrs), tuple(ins), tuple(outs), layer)
