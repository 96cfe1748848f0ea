"""One subgraph of a `.tflite` file becomes a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.surveyed import Surveyed
from smidgen.frontends.tflite.known import KNOWN, folded, known
from smidgen.frontends.tflite.resources import Resources
from smidgen.frontends.tflite.survey import advice
from smidgen.frontends.tflite.tensors import DAMAGED, clean, vector
from smidgen.frontends.tflite.uint8 import ShiftedTensors, computes_uint8
from smidgen.frontends.tflite.variables import (
    operands,
)
from smidgen.ir import Graph, Node, TensorType, Value, verify
from smidgen.ops import NodeTypes, Op, TfliteNode, Unsupported, all_ops, get_op
from smidgen.schema import TABLES, Record
from smidgen.schema.fields import Scalar
from smidgen.schema.operators import (
    OPTIONS_OF,
    RESOURCE_OPERATORS,
    default_options,
    operator_name,
)

T = TypeVar("T")


class Reader(Resources):
    """One subgraph of a file on its way to a graph."""

    def __init__(self, model: Record, name: str, index: int, signature: Record | None) -> None:
        super().__init__(model, index, signature)
        self.name = name
        self.codes: list[Record] = model["operator_codes"] or []
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
        inputs = [self._input(int(index), nodes) for index in vector(self.subgraph["inputs"])]
        for index, (name, record) in enumerate(zip(names, operators, strict=True)):
            if name in RESOURCE_OPERATORS:
                self._at(index, name, record, partial(self._resource, name, record))
            elif name in KNOWN:
                self._at(index, name, record, partial(self._known, name, record))
            elif name in self.made_of_others:
                nodes += self._at(index, name, record, partial(self.made_of_others[name], record))
            else:
                nodes += self._node(index, name, record)
        outputs = [self._result(int(index), nodes) for index in vector(self.subgraph["outputs"])]
        if not outputs:
            raise ModelFileError("the model has no outputs", hint=DAMAGED)
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
        for index in vector(self.subgraph["inputs"]):
            with contextlib.suppress(SmidgenError):
                self._input(int(index), nodes)
        for index, record in enumerate(self.subgraph["operators"] or []):
            name, problem, hint = operator_name(self.codes, index, record), None, None
            try:
                self._survey_one(index, name, record)
            except SmidgenError as error:
                problem, hint = error.message, error.hint
            outputs = [i for i in vector(record["outputs"]) if i >= 0]
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
        elif name in self.made_of_others:
            self.made_of_others[name](record)
        elif name not in all_ops() or isinstance(get_op(name).tflite_read, Unsupported):
            raise UnsupportedModelError(f"{name} is not supported", hint=advice(name))
        else:
            self._node(index, name, record)

    def _node(self, index: int, op_name: str, record: Record) -> list[Node]:
        """Return the node of an operator, or none if its results are constants."""
        outputs = [int(i) for i in vector(record["outputs"])]
        return self._at(
            index, op_name, record, lambda: self._make_node(get_op(op_name), record, outputs)
        )

    def _at(self, index: int, op_name: str, record: Record, make: Callable[[], T]) -> T:
        """Do something; its errors name the operator."""
        outputs = vector(record["outputs"])
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
            raise ModelFileError("adds tensors of different types", hint=DAMAGED)
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
            raise ModelFileError("chooses between tensors of different shapes", hint=DAMAGED)
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
            raise ModelFileError("its operands are not accepted", hint=DAMAGED) from error
        (output,) = operands(record, "outputs", 1)
        self._output(output, data)

    def _form(
        self, name: str, record: Record, before: list[Node] | None = None
    ) -> tuple[TfliteNode, list[str | None]]:
        """Return an operator as the file has it, and the names of its operands.

        Those that were uint8 are that again if there are nodes that it may have `before` it.
        """
        inputs = [None if i < 0 else self._operand(int(i)) for i in vector(record["inputs"])]
        for place, i in enumerate(vector(record["inputs"]) if before is not None else ()):
            value = inputs[place]
            if value is not None and self.tensors.was_uint8(i):
                assert before is not None
                inputs[place] = self._converted(value, self.tensors.original(i), before)
        inputs = self._with_float_weights(inputs, vector(record["inputs"]))
        types = tuple(None if n is None else self.values[n].type for n in inputs)
        constants = tuple(None if n is None else self.values[n].data for n in inputs)
        type_of = self.tensors.type if before is None else self.tensors.original
        results = tuple(type_of(int(i)) for i in vector(record["outputs"]))
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
        if not op.states and not {*outputs} & {*vector(self.subgraph["outputs"])}:
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
        tensors = vector(record["inputs"])
        for operand, output in op.states.items():
            made[output] = self._new_state(tensors[chosen[operand] or 0])
        node_outputs = tuple(made[i] for i in range(len(inferred)))
        return [*before, Node(op, operands, node_outputs), *after]


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
        raise ModelFileError(f"has {found[0]} instead of {table}", hint=DAMAGED)
    options = dict(default_options(op_name) if found is None else found[1])
    for field in TABLES[table].fields:
        if isinstance(field.kind, Scalar) and field.kind.enum is not None:
            value = options[field.name]
            if not isinstance(value, field.kind.enum):
                raise ModelFileError(
                    f"{field.name} {value} is not one of "
                    f"{', '.join(member.name for member in field.kind.enum)}",
                    hint=DAMAGED,
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
        raise ModelFileError(f"computes {wanted}, the file says {had or 'nothing'}", hint=DAMAGED)
