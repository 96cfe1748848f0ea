"""`.tflite` files, float32 and int8: the whole graph of one, as a Graph."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends._tflite_functions import callable_subgraphs, choose_function, file_bytes
from smidgen.frontends._tflite_known import KNOWN, folded, known
from smidgen.frontends._tflite_survey import Surveyed, advice
from smidgen.frontends._tflite_tensors import FileTensors, clean, real
from smidgen.frontends._tflite_uint8 import ShiftedTensors, centred, computes_uint8
from smidgen.frontends._tflite_variables import (
    Handles,
    Key,
    Variable,
    called,
    initial_values,
    known_variables,
    operands,
    variable_name,
)
from smidgen.ir import Graph, Node, QuantParams, State, TensorType, Value, verify
from smidgen.ops import NodeTypes, Op, Role, TfliteNode, Unsupported, all_ops, get_op
from smidgen.schema import TABLES, Record, decode
from smidgen.schema.fields import Scalar
from smidgen.schema.operators import (
    OPTIONS_OF,
    RESOURCE_OPERATORS,
    default_options,
    operator_name,
)

T = TypeVar("T")
_DAMAGED = "the file is damaged, or the converter that wrote it is; convert the model again"


def read(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    signature: str | None = None,
) -> Graph:
    """Read a function of a `.tflite` file: the only one of most files.

    Args:
        source: The path of a file, or its bytes. It need not be trusted.
        name: The graph's name; the file's name without its ending otherwise.
        signature: The key of the function's signature; what runtimes run first otherwise.

    Returns:
        The graph: its constants are read-only views of the file's bytes. Inputs and outputs have
        the names of the signature, other values those of the file's tensors, made unique.

    Raises:
        ModelFileError: The file cannot be read, is damaged or contradicts itself.
        UnsupportedModelError: The model uses what Smidgen does not have; names the operator.

    Example:
        >>> read("model.tflite").inputs
        ('t0',)
    """
    path = None if isinstance(source, bytes) else Path(source)
    try:
        model = decode(source if isinstance(source, bytes) else file_bytes(Path(source)))
        index, record = choose_function(model, signature)
        stem = clean(path.stem) if path else ""
        return _Reader(model, name or stem or "model", index, record).graph()
    except SmidgenError as error:
        if path is not None:
            error.where = f"{path.name}: {error.where}" if error.where else path.name
        raise


class _Reader:
    """One subgraph of a file on its way to a graph."""

    def __init__(self, model: Record, name: str, index: int, signature: Record | None) -> None:
        self.name = name
        self.model = model
        self.signature = signature
        self.subgraph: Record = model["subgraphs"][index]
        self.handles = Handles()
        self.known = known_variables(model, callable_subgraphs(model, index))
        self.variables: dict[Key | int, Variable] = {}  # by name, or number of a variable tensor
        self.codes: list[Record] = model["operator_codes"] or []
        self.tensors = FileTensors(self.subgraph["tensors"] or [], model["buffers"] or [])
        self.values: dict[str, Value] = {}
        self.given = self._given_names()
        self.names: dict[int, str] = {}  # of the tensors that are known so far
        self.real: dict[str, str] = {}  # float forms of integer constants
        self.made_of_others = {"ADD_N": self._sum, "SELECT": self._choice}

    def graph(self) -> Graph:
        """Return the graph, verified."""
        operators = self.subgraph["operators"] or []
        names = [operator_name(self.codes, i, record) for i, record in enumerate(operators)]
        _refuse_unsupported(names, tuple(self.made_of_others))
        records = self.subgraph["tensors"] or []
        if computes_uint8(names, operators, records):
            self.tensors = ShiftedTensors(records, self.model["buffers"] or [])
        nodes: list[Node] = []
        inputs = [self._input(int(index), nodes) for index in _vector(self.subgraph["inputs"])]
        for index, (name, record) in enumerate(zip(names, operators, strict=True)):
            if name in RESOURCE_OPERATORS:
                self._at(index, name, record, partial(self._resource, name, record))
            elif name in KNOWN:
                self._at(index, name, record, partial(self._known, name, record))
            elif name in self.made_of_others:
                nodes += self._at(index, name, record, partial(self.made_of_others[name], record))
            else:
                nodes += self._node(index, name, record)
        outputs = [self._result(int(index), nodes) for index in _vector(self.subgraph["outputs"])]
        if not outputs:
            raise ModelFileError("the model has no outputs", hint=_DAMAGED)
        states = self._states()
        used = {n for node in nodes for n in (*node.inputs, *node.outputs)} | {*inputs, *outputs}
        used |= {n for state in states for n in (state.input, state.output)}
        values = {name: value for name, value in self.values.items() if name in used}
        key = clean(self.signature["signature_key"] or "") if self.signature else ""
        graph = Graph(
            self.name,
            tuple(inputs),
            tuple(outputs),
            values,
            tuple(nodes),
            states=tuple(states),
            signature=key,
        )
        verify(graph)
        return graph

    def survey(self) -> list[Surveyed]:
        """Return every operator, those that cannot be read with the reason (see `survey`)."""
        found: list[Surveyed] = []
        nodes: list[Node] = []
        for index in _vector(self.subgraph["inputs"]):
            with contextlib.suppress(SmidgenError):
                self._input(int(index), nodes)
        for index, record in enumerate(self.subgraph["operators"] or []):
            name, problem, hint = operator_name(self.codes, index, record), None, None
            try:
                self._survey_one(index, name, record)
            except SmidgenError as error:
                problem, hint = error.message, error.hint
            outputs = [i for i in _vector(record["outputs"]) if i >= 0]
            layer = type = ""
            for i in outputs[:1]:
                with contextlib.suppress(SmidgenError):
                    type = str(self.tensors.type(i).with_quant(None))
                    layer = self.tensors.name(i) or f"tensor {i}"
            for i in outputs if problem else []:
                with contextlib.suppress(SmidgenError):
                    self._output(i)
            found.append(Surveyed(index, name, layer, type, problem, hint))
        return found

    def _survey_one(self, index: int, name: str, record: Record) -> None:
        """Read one operator.

        Raises:
            SmidgenError: It cannot be read; says what would work.
        """
        if name in RESOURCE_OPERATORS:
            self._resource(name, record)
        elif name in KNOWN:
            self._known(name, record)
        elif name not in all_ops() or isinstance(get_op(name).tflite_read, Unsupported):
            raise UnsupportedModelError(f"{name} is not supported", hint=advice(name))
        else:
            self._node(index, name, record)

    def _input(self, index: int, nodes: list[Node]) -> str:
        type = self.tensors.original(index)
        if index in self.names or self.tensors.data(index) is not None:
            raise ModelFileError(
                "is an input of the model, but also a constant or another input",
                where=self.tensors.label(index),
                hint=_DAMAGED,
            )
        name = self._define(index, Value("", type))
        if self.tensors.was_uint8(index):
            self.names[index] = self._converted(name, self.tensors.type(index), nodes)
        return name

    def _result(self, index: int, nodes: list[Node]) -> str:
        """Return the name of an output of the model."""
        name = self._operand(index)
        if not self.tensors.was_uint8(index):
            return name
        hint = self.given.get(index) or self.tensors.name(index) or f"t{index}"
        return self._converted(name, self.tensors.original(index), nodes, hint)

    def _converted(self, name: str, type: TensorType, nodes: list[Node], hint: str = "") -> str:
        """Add a QUANTIZE of a value to a type, and return the name of its result."""
        output = self._fresh(hint or f"{name}_{type.dtype}")
        self.values[output] = Value(output, type)
        op = get_op("QUANTIZE")(type.dtype)  # type: ignore[call-arg]
        nodes.append(Node(op, (name,), (output,)))
        return output

    def _define(self, index: int, value: Value) -> str:
        """Add a value under the tensor's name and return that name."""
        hint = self.given.get(index) or self.tensors.name(index) or f"t{index}"
        if value.type.dtype == "int8" and self.tensors.was_uint8(index):
            hint += "_int8"  # inputs and outputs of the model have the plain name
        name = self._fresh(hint)
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
            if data is None and self.tensors.is_variable(index):
                name = self._define(index, Value("", type))
                self.variables[index] = Variable(name, type, name, name)
                return name
            if data is None:
                raise ModelFileError(
                    "is read before it is computed", where=self.tensors.label(index), hint=_DAMAGED
                )
            return self._define(index, Value("", type, data))
        return self.names[index]

    def _node(self, index: int, op_name: str, record: Record) -> list[Node]:
        """Return the node of an operator, or none if its results are constants."""
        outputs = [int(i) for i in _vector(record["outputs"])]
        return self._at(
            index, op_name, record, lambda: self._make_node(get_op(op_name), record, outputs)
        )

    def _at(self, index: int, op_name: str, record: Record, make: Callable[[], T]) -> T:
        """Do something; its errors name the operator."""
        outputs = _vector(record["outputs"])
        where = f"operator {index} {op_name}"
        if outputs and 0 <= outputs[0] < len(self.subgraph["tensors"] or ()):
            where += f" ({self.tensors.label(outputs[0])})"
        try:
            return make()
        except SmidgenError as error:
            error.where = f"{where}: {error.where}" if error.where else where
            raise

    def _sum(self, record: Record) -> list[Node]:
        """Return the ADDs that an ADD_N of floats is, from the first operand to the last."""
        node, inputs = self._form("ADD_N", record)
        (output,) = operands(record, "outputs", 1)
        terms = [name for name in inputs if name is not None]
        out = self.tensors.type(output)
        if any(t is None or (t.shape, t.dtype) != (out.shape, out.dtype) for t in node.types):
            raise ModelFileError("adds tensors of different types", hint=_DAMAGED)
        if out.dtype not in ("float32", "int32"):
            raise UnsupportedModelError(
                f"adds several {out.dtype} tensors", hint="add two at a time, which has a kernel"
            )
        if len(terms) < 2:
            raise UnsupportedModelError("adds fewer than two tensors")
        total, nodes = terms[0], []
        for term in terms[1:-1]:
            name = self._fresh(f"{total}_sum")
            self.values[name] = Value(name, out)
            nodes.append(Node(get_op("ADD")(), (total, term), (name,)))
            total = name
        return [*nodes, Node(get_op("ADD")(), (total, terms[-1]), (self._output(output),))]

    def _choice(self, record: Record) -> list[Node]:
        """Return the SELECT_V2 that a SELECT is, as long as it does not choose whole rows."""
        node, inputs = self._form("SELECT", record)
        (output,) = operands(record, "outputs", 1)
        shapes = [None if t is None else t.shape for t in node.types]
        if len(shapes) != 3 or None in shapes or shapes[1] != shapes[2]:
            raise ModelFileError("chooses between tensors of different shapes", hint=_DAMAGED)
        if shapes[0] != shapes[1]:
            raise UnsupportedModelError(
                f"a condition of shape {shapes[0]} chooses whole rows of {shapes[1]}",
                hint="convert the model with TensorFlow 2, which writes SELECT_V2",
            )
        return [Node(get_op("SELECT_V2")(), tuple(inputs), (self._output(output),))]

    def _known(self, name: str, record: Record) -> None:
        """Take in an operator whose result is known, as a constant."""
        node, _ = self._form(name, record)
        try:
            data = known(name, node)
        except (ValueError, ArithmeticError, LookupError, TypeError, AssertionError) as error:
            raise ModelFileError("its operands are not accepted", hint=_DAMAGED) from error
        (output,) = operands(record, "outputs", 1)
        self._output(output, data)

    def _form(
        self, name: str, record: Record, before: list[Node] | None = None
    ) -> tuple[TfliteNode, list[str | None]]:
        """Return an operator as the file has it, and the names of its operands.

        Those that were uint8 are that again if there are nodes that it may have `before` it.
        """
        inputs = [None if i < 0 else self._operand(int(i)) for i in _vector(record["inputs"])]
        for place, i in enumerate(_vector(record["inputs"]) if before is not None else ()):
            value = inputs[place]
            if value is not None and self.tensors.was_uint8(i):
                assert before is not None
                inputs[place] = self._converted(value, self.tensors.original(i), before)
        inputs = self._with_float_weights(inputs, _vector(record["inputs"]))
        types = tuple(None if n is None else self.values[n].type for n in inputs)
        constants = tuple(None if n is None else self.values[n].data for n in inputs)
        type_of = self.tensors.type if before is None else self.tensors.original
        results = tuple(type_of(int(i)) for i in _vector(record["outputs"]))
        return TfliteNode(_options(name, record), types, constants, results), inputs

    def _make_node(self, kind: type[Op], record: Record, outputs: list[int]) -> list[Node]:
        before: list[Node] = []
        after: list[Node] = []
        # Of uint8 some kernels compute something else.
        keeps = not kind.shifts and any(self.tensors.was_uint8(i) for i in outputs)
        node, inputs = self._form(kind.name, record, before if keeps else None)
        results = node.outputs
        try:
            op, chosen = kind.tflite_read(node)
            operands = tuple(None if i is None else inputs[i] for i in chosen)
            operand_types = tuple(None if n is None else self.values[n].type for n in operands)
            rule = op.quant_rule(*operand_types)
            rest = operands[len(rule.roles) :]
            operands = (*map(self._index, operands, rule.roles), *rest)
            operand_types = tuple(None if n is None else self.values[n].type for n in operands)
            inferred = op.infer(*operand_types)
        except (ValueError, ArithmeticError, LookupError, TypeError, AssertionError) as error:
            # Whatever an operator stumbles over here, it is the file that brought it.
            counts = f"{len(inputs)} operands and {len(results)} results do not make one"
            reason = str(error) if isinstance(error, ValueError) else counts
            raise ModelFileError(f"its operands are not accepted: {reason}") from error
        kept = [i for i in range(len(inferred)) if i not in op.states.values()]
        _compare(tuple(inferred[i] for i in kept), results)
        if not op.states and not {*outputs} & {*_vector(self.subgraph["outputs"])}:
            arrays = tuple(None if n is None else self.values[n].data for n in operands)
            constants = folded(op, NodeTypes(operand_types, results), arrays)
            if constants is not None:
                for output, data in zip(outputs, constants, strict=True):
                    self._output(output, data)
                return []
        operands = self._with_centred_weights(operands, rule.roles)
        operands = self._with_bias_scale(operands, rule.roles)
        named = (self._kept(i, after) if keeps else self._output(i) for i in outputs)
        made = dict(zip(kept, named, strict=True))
        tensors = _vector(record["inputs"])
        for operand, output in op.states.items():
            made[output] = self._new_state(tensors[chosen[operand] or 0])
        node_outputs = tuple(made[i] for i in range(len(inferred)))
        return [*before, Node(op, operands, node_outputs), *after]

    def _index(self, name: str | None, role: Role) -> str | None:
        """Return a constant index as int32, which is what operators take, if it is int64."""
        value = None if name is None or role is not Role.INDEX else self.values[name]
        if value is None or value.data is None or value.type.dtype != "int64":
            return name
        narrow = value.data.astype(np.int32)
        if not np.array_equal(narrow, value.data):
            return name
        short = self._fresh(f"{name}_int32")
        self.values[short] = Value(short, TensorType(narrow.shape, "int32"), narrow)
        return short

    def _new_state(self, tensor: int) -> str:
        """Return the value that an operator leaves in a variable tensor."""
        variable = self.variables.get(tensor)
        if variable is None:
            raise ModelFileError("keeps its state in a tensor that is not variable", hint=_DAMAGED)
        assert variable.type is not None
        name = self._fresh(f"{variable.name}_new")
        self.values[name] = Value(name, variable.type)
        self.names[tensor] = variable.now = name
        return name

    def _resource(self, name: str, record: Record) -> None:
        """Take in an operator on resource variables."""
        if name == "CALL_ONCE":
            for key in initial_values(self.model, called(self.model, record)):
                if key in self.variables and self.variables[key].now is not None:
                    raise UnsupportedModelError(
                        f"variable {variable_name(key)!r} is initialized after it is used",
                        hint="convert the model so that it initializes its variables first",
                    )
        elif name == "VAR_HANDLE":
            self.handles.define(record)
            self._variable(operands(record, "outputs", 1)[0])
        elif name == "READ_VARIABLE":
            (handle,), (output,) = operands(record, "inputs", 1), operands(record, "outputs", 1)
            self._read(self._variable(handle), self.handles.key(handle), output)
        else:
            handle, tensor = operands(record, "inputs", 2)
            variable, value = self._variable(handle), self._operand(tensor)
            variable.check(self.values[value].type)
            variable.now = value

    def _variable(self, handle: int) -> Variable:
        key = self.handles.key(handle)
        if key not in self.variables:
            initial, shared = self.known.initial.get(key), self.known.users.get(key, 1) > 1
            self.variables[key] = Variable(variable_name(key), initial=initial, shared=shared)
        return self.variables[key]

    def _read(self, variable: Variable, key: Key, output: int) -> None:
        """Let a tensor be what a variable holds at this point."""
        variable.check(self.tensors.type(output))
        if variable.now is not None:
            self._must_be_new(output)
            self.names[output] = variable.now
            return
        if key not in self.known.assigned and key not in self.known.initial:
            raise ModelFileError(
                f"variable {variable.name!r} is read, but nothing assigns it", hint=_DAMAGED
            )
        variable.now = variable.start = self._output(output)
        if key not in self.known.assigned:  # it never changes
            value = self.values[variable.now]
            self.values[variable.now] = replace(value, data=variable.start_value())

    def _states(self) -> list[State]:
        """Return the variables as states, those only that some step finds as another left them."""
        states: list[State] = []
        for variable in self.variables.values():
            if variable.start is None and variable.shared and variable.type is not None:
                variable.start = self._fresh(variable.name)
                self.values[variable.start] = Value(variable.start, variable.type)
            start, now = variable.start, variable.now
            if start is None or now is None or self.values[start].data is not None:
                continue
            name, count = variable.name, 1
            while any(state.name == name for state in states):
                name, count = f"{variable.name}_{count}", count + 1
            states.append(State(name, start, now, variable.start_value(), variable.shared))
        return states

    def _given_names(self) -> dict[int, str]:
        """Return the names that the signature gives to inputs and outputs, by tensor."""
        if self.signature is None:
            return {}
        maps = [*(self.signature["outputs"] or ()), *(self.signature["inputs"] or ())]
        return {int(m["tensor_index"]): clean(m["name"] or "") for m in maps}

    def _output(self, index: int, data: np.ndarray | None = None) -> str:
        """Add what an operator computes, now or when the model runs."""
        self._must_be_new(index)
        if data is not None:
            self.tensors.take(index, data.nbytes)
        return self._define(index, Value("", self.tensors.type(index), data))

    def _kept(self, index: int, after: list[Node]) -> str:
        """Add a result that stays uint8, and the QUANTIZE that makes it int8 for others."""
        lower = self._output(index)
        kept = self._fresh(f"{lower}_uint8")
        self.values[kept] = Value(kept, self.tensors.original(index))
        op = get_op("QUANTIZE")("int8")  # type: ignore[call-arg]
        after.append(Node(op, (kept,), (lower,)))
        return kept

    def _must_be_new(self, index: int) -> None:
        if index in self.names or self.tensors.data(index) is not None:
            raise ModelFileError(
                "is computed, but also a constant, an input or computed before",
                where=self.tensors.label(index),
                hint=_DAMAGED,
            )

    def _with_float_weights(
        self, operands: list[str | None], tensors: list[int]
    ) -> list[str | None]:
        """Make floats of the integer weights of dynamic range models, whose activations are float.

        What is left of such a layer is a float one, which can be quantized as any other.
        """
        values = [None if n is None else self.values[n] for n in operands]
        if not any(v is not None and v.data is None and v.type.dtype == "float32" for v in values):
            return operands
        found = list(operands)
        for place, value in enumerate(values):
            if value is None or value.data is None or value.type.quant is None:
                continue
            if value.name not in self.real:
                self.tensors.take(tensors[place], 4 * value.type.size)
                self.real[value.name] = name = self._fresh(f"{value.name}_float")
                self.values[name] = Value(
                    name, TensorType(value.type.shape, "float32"), real(value)
                )
            found[place] = self.real[value.name]
        return found

    def _with_centred_weights(
        self, operands: tuple[str | None, ...], roles: tuple[Role, ...]
    ) -> tuple[str | None, ...]:
        """Take the zero points of a uint8 model's weights out of them, where int8 has the room."""
        found = list(operands)
        for place, (name, role) in enumerate(zip(operands, roles, strict=False)):
            if name is None or role is not Role.WEIGHT:
                continue
            weights = self.values[name]
            quant = weights.type.quant
            if weights.data is None or quant is None or not any(quant.zero_points):
                continue
            if not isinstance(self.tensors, ShiftedTensors):
                raise UnsupportedModelError(
                    "int8 weights have a zero point other than 0",
                    hint="convert the model with symmetric weights, as runtimes demand of int8",
                )
            fresh = self._fresh(f"{name}_centred")
            self.values[fresh] = replace(centred(weights), name=fresh)
            found[place] = fresh
        return tuple(found)

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


def _refuse_unsupported(names: list[str], made_of_others: tuple[str, ...]) -> None:
    """Raise UnsupportedModelError if there are operators that Smidgen does not read."""
    supported = [
        name for name, op in all_ops().items() if not isinstance(op.tflite_read, Unsupported)
    ]
    read = {*supported, *RESOURCE_OPERATORS, *KNOWN, *made_of_others}
    missing = {name: names.index(name) for name in dict.fromkeys(names) if name not in read}
    if missing:
        first = list(missing)[:8]
        ways = [f"{name}: {advice(name)}" for name in first]
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise UnsupportedModelError(
            f"the model uses operators that are not supported: {', '.join(first)}{more}",
            where=f"operator {missing[first[0]]}",
            hint=f"{'; '.join(ways)}; `smidgen inspect` lists every operator",
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
