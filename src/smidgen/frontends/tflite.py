"""`.tflite` files, float32 and int8: the whole graph of one, as a Graph."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends._tflite_tensors import FileTensors, clean
from smidgen.ir import Graph, Node, QuantParams, TensorType, Value, verify
from smidgen.ops import Op, Role, TfliteNode, Unsupported, all_ops, get_op
from smidgen.schema import TABLES, BuiltinOperator, Record, decode
from smidgen.schema.fields import Scalar
from smidgen.schema.operators import OPTIONS_OF, default_options

MAX_FILE_BYTES = 1 << 30

_DAMAGED = "the file is damaged, or the converter that wrote it is; convert the model again"


def read(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Graph:
    """Read a `.tflite` file.

    Args:
        source: The path of a file, or its bytes. It need not be trusted.
        name: The graph's name; the file's name without its ending otherwise.

    Returns:
        The graph: its constants are read-only views of the file's bytes, and its values have the
        names of the file's tensors, made unique.

    Raises:
        ModelFileError: The file cannot be read, is damaged or contradicts itself.
        UnsupportedModelError: The model uses what Smidgen does not have; names the operator.

    Example:
        >>> read("model.tflite").inputs
        ('t0',)
    """
    if isinstance(source, bytes):
        return _Reader(decode(source), name or "model").graph()
    path = Path(source)
    try:
        return _Reader(decode(_bytes_of(path)), name or clean(path.stem) or "model").graph()
    except SmidgenError as error:
        error.where = f"{path.name}: {error.where}" if error.where else path.name
        raise


def _bytes_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(
                f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that are read"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}") from error


class _Reader:
    """One file on its way to a graph."""

    def __init__(self, model: Record, name: str) -> None:
        subgraphs = model["subgraphs"] or []
        if len(subgraphs) != 1:
            raise UnsupportedModelError(
                f"the model has {len(subgraphs)} subgraphs",
                hint="one is supported: export it without control flow and resource variables",
            )
        self.name = name
        self.subgraph: Record = subgraphs[0]
        self.codes: list[Record] = model["operator_codes"] or []
        self.tensors = FileTensors(self.subgraph["tensors"] or [], model["buffers"] or [])
        self.values: dict[str, Value] = {}
        self.names: dict[int, str] = {}  # of the tensors that are known so far

    def graph(self) -> Graph:
        """Return the graph, verified."""
        inputs = [self._input(int(index)) for index in _vector(self.subgraph["inputs"])]
        operators = self.subgraph["operators"] or []
        names = [self._operator_name(index, record) for index, record in enumerate(operators)]
        _refuse_unsupported(names)
        nodes = [self._node(i, *pair) for i, pair in enumerate(zip(names, operators, strict=True))]
        outputs = [self._operand(int(index)) for index in _vector(self.subgraph["outputs"])]
        if not outputs:
            raise ModelFileError("the model has no outputs", hint=_DAMAGED)
        used = {n for node in nodes for n in (*node.inputs, *node.outputs)} | {*inputs, *outputs}
        values = {name: value for name, value in self.values.items() if name in used}
        graph = Graph(self.name, tuple(inputs), tuple(outputs), values, tuple(nodes))
        verify(graph)
        return graph

    def _input(self, index: int) -> str:
        type = self.tensors.type(index)
        if index in self.names or self.tensors.data(index) is not None:
            raise ModelFileError(
                "is an input of the model, but also a constant or another input",
                where=self.tensors.label(index),
                hint=_DAMAGED,
            )
        return self._define(index, Value("", type))

    def _define(self, index: int, value: Value) -> str:
        """Add a value under the tensor's name and return that name."""
        name = self._fresh(self.tensors.name(index) or f"t{index}")
        self.values[name] = replace(value, name=name)
        self.names[index] = name
        return name

    def _fresh(self, hint: str) -> str:
        name, count = hint, 1
        while name in self.values:
            name, count = f"{hint}_{count}", count + 1
        return name

    def _operand(self, index: int) -> str:
        """Return the name of a tensor that is known by now, or is a constant."""
        if index not in self.names:
            type, data = self.tensors.type(index), self.tensors.data(index)
            if data is None:
                raise ModelFileError(
                    "is read before it is computed", where=self.tensors.label(index), hint=_DAMAGED
                )
            return self._define(index, Value("", type, data))
        return self.names[index]

    def _node(self, index: int, op_name: str, record: Record) -> Node:
        outputs = [int(i) for i in _vector(record["outputs"])]
        where = f"operator {index} {op_name}"
        if outputs and 0 <= outputs[0] < len(self.subgraph["tensors"] or ()):
            where += f" ({self.tensors.label(outputs[0])})"
        try:
            return self._make_node(get_op(op_name), record, outputs)
        except SmidgenError as error:
            error.where = f"{where}: {error.where}" if error.where else where
            raise

    def _make_node(self, kind: type[Op], record: Record, outputs: list[int]) -> Node:
        inputs = [None if i < 0 else self._operand(int(i)) for i in _vector(record["inputs"])]
        types = tuple(None if n is None else self.values[n].type for n in inputs)
        constants = tuple(None if n is None else self.values[n].data for n in inputs)
        results = tuple(self.tensors.type(i) for i in outputs)
        _refuse_hybrid(types, constants)
        node = TfliteNode(_options(kind.name, record), types, constants, results)
        try:
            op, chosen = kind.tflite_read(node)
            operands = tuple(None if i is None else inputs[i] for i in chosen)
            operand_types = tuple(None if n is None else self.values[n].type for n in operands)
            inferred = op.infer(*operand_types)
            rule = op.quant_rule(*operand_types)
        except (ValueError, ArithmeticError, LookupError, TypeError, AssertionError) as error:
            # Whatever an operator stumbles over here, it is the file that brought it.
            counts = f"{len(inputs)} operands and {len(results)} results do not make one"
            reason = str(error) if isinstance(error, ValueError) else counts
            raise ModelFileError(f"its operands are not accepted: {reason}") from error
        _compare(inferred, results)
        operands = self._with_bias_scale(operands, rule.roles)
        return Node(op, operands, tuple(self._output(i) for i in outputs))

    def _output(self, index: int) -> str:
        if index in self.names or self.tensors.data(index) is not None:
            raise ModelFileError(
                "is computed, but also a constant, an input or computed before",
                where=self.tensors.label(index),
                hint=_DAMAGED,
            )
        return self._define(index, Value("", self.tensors.type(index)))

    def _operator_name(self, index: int, record: Record) -> str:
        """Return the LiteRT name of an operator, or the quoted name of a custom one."""
        position = record["opcode_index"]
        if position >= len(self.codes):
            raise ModelFileError(
                f"is of kind {position} of {len(self.codes)}",
                where=f"operator {index}",
                hint=_DAMAGED,
            )
        code = self.codes[position]
        # Files from before there were 127 operators have the old field alone.
        number = max(int(code["builtin_code"]), code["deprecated_builtin_code"])
        if number == BuiltinOperator.CUSTOM:
            return f"CUSTOM {clean(code['custom_code'] or '')[:80]!r}"
        try:
            return BuiltinOperator(number).name
        except ValueError:
            return f"number {number}"

    def _with_bias_scale(
        self, operands: tuple[str | None, ...], roles: tuple[Role, ...]
    ) -> tuple[str | None, ...]:
        """Give an integer bias the scale it must have, where a file left that out."""
        if Role.BIAS not in roles or Role.WEIGHT not in roles:
            return operands
        place = roles.index(Role.BIAS)
        name = operands[place] if place < len(operands) else None
        if name is None or self.values[name].type.dtype not in ("int32", "int64"):
            return operands
        x, w = (operands[roles.index(role)] for role in (Role.ACTIVATION, Role.WEIGHT))
        bias = self.values[name]
        quant = _bias_quant(*(self.values[n].type for n in (x, w) if n is not None))
        if bias.type.quant is not None or quant is None:
            return operands
        if quant.axis is not None and (bias.type.size,) != bias.type.shape:
            return operands
        scaled = self._fresh(f"{name}_scaled")
        self.values[scaled] = replace(bias, name=scaled, type=bias.type.with_quant(quant))
        return (*operands[:place], scaled, *operands[place + 1 :])


def _refuse_unsupported(names: list[str]) -> None:
    """Raise UnsupportedModelError if there are operators that Smidgen does not read."""
    supported = [
        name for name, op in all_ops().items() if not isinstance(op.tflite_read, Unsupported)
    ]
    missing = {name: names.index(name) for name in dict.fromkeys(names) if name not in supported}
    if missing:
        first = list(missing)[:8]
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise UnsupportedModelError(
            f"the model uses operators that are not supported: {', '.join(first)}{more}",
            where=f"operator {missing[first[0]]}",
            hint=f"supported are {', '.join(supported)}",
        )


def _vector(items: np.ndarray | None) -> list[int]:
    return [] if items is None else [int(i) for i in items]


def _options(op_name: str, record: Record) -> Record:
    """Return an operator's options, enums by their schema names.

    Raises:
        ModelFileError: They are another operator's, or a number is not in its enum.
    """
    table = OPTIONS_OF.get(op_name)
    if table is None:
        return {}
    found = record["builtin_options"] or record["builtin_options_2"]
    if found is not None and found[0] != table:
        raise ModelFileError(f"has {found[0]} instead of {table}", hint=_DAMAGED)
    options = dict(default_options(op_name) if found is None else found[1])
    for field in TABLES[table].fields:
        if isinstance(field.kind, Scalar) and field.kind.enum is not None:
            value = options[field.name]
            if not isinstance(value, field.kind.enum):
                raise ModelFileError(
                    f"{field.name} {value} is not one of "
                    f"{', '.join(member.name for member in field.kind.enum)}",
                    hint=_DAMAGED,
                )
            options[field.name] = value.name
    return options


def _refuse_hybrid(
    types: tuple[TensorType | None, ...], constants: tuple[np.ndarray | None, ...]
) -> None:
    pairs = [(t, c) for t, c in zip(types, constants, strict=True) if t is not None]
    floats = any(t.dtype == "float32" for t, c in pairs if c is None)
    if floats and any(t.quant is not None for t, c in pairs if c is not None):
        raise UnsupportedModelError(
            "float activations with integer weights (dynamic range quantization) are not supported",
            hint="convert the model to float32, or to full int8",
        )


def _compare(inferred: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> None:
    """Raise ModelFileError unless the file's result types are what the operator computes."""
    want = [(type.dtype, type.shape) for type in inferred]
    have = [(type.dtype, type.shape) for type in results]
    if want != have:
        wanted, had = (
            ", ".join(f"{dtype}{list(shape)}" for dtype, shape in types) for types in (want, have)
        )
        raise ModelFileError(f"computes {wanted}, the file says {had or 'nothing'}", hint=_DAMAGED)


def _bias_quant(*types: TensorType) -> QuantParams | None:
    """Return input scale times weight scale, or None if there is no such float32 number."""
    if len(types) != 2 or types[0].quant is None or types[1].quant is None:
        return None
    x, w = types[0].quant, types[1].quant
    if x.axis is not None:
        return None
    with np.errstate(over="ignore", under="ignore"):
        scales = (x.scale * np.array(w.scales)).astype(np.float32)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        return None
    return QuantParams(tuple(scales.tolist()), (0,) * scales.size, None if w.axis is None else 0)
