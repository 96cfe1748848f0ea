"""What a `.tflite` model remembers: resource variables, variable tensors, and how they start.

A resource variable lives outside the graph, under a name. VAR_HANDLE finds it, READ_VARIABLE copies
it out and ASSIGN_VARIABLE copies it in; a CALL_ONCE at the start runs a subgraph that assigns
initial values. A variable tensor is an operand that an operator such as SVDF overwrites. Both
become pairs of values: the one that a step begins with and the one that it ends with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite.tensors import DAMAGED, FileTensors, clean
from smidgen.ir import TensorType, numpy_dtype
from smidgen.schema import Record
from smidgen.schema.operators import RESOURCE_OPERATORS, operator_name

Array = np.ndarray[Any, Any]
Key = tuple[str, str]  # container and name

_CONSTANT = "give the model's variables constant initial values before converting it"


def variable_name(key: Key) -> str:
    """Return what messages and graphs call a resource variable."""
    return "/".join(part for part in key if part) or "variable"


class Handles:
    """The resource variables that one subgraph names: tensor by tensor."""

    def __init__(self) -> None:
        self._keys: dict[int, Key] = {}

    def define(self, record: Record) -> None:
        """Take note of a VAR_HANDLE."""
        options = record["builtin_options"]
        fields: Mapping[str, Any] = options[1] if options is not None else {}
        key = tuple(clean(fields.get(name) or "") for name in ("container", "shared_name"))
        (output,) = operands(record, "outputs", 1)
        self._keys[output] = key  # type: ignore[assignment]

    def key(self, tensor: int) -> Key:
        """Return the variable that a tensor is the handle of.

        Raises:
            UnsupportedModelError: It is not the result of a VAR_HANDLE.
        """
        if tensor not in self._keys:
            raise UnsupportedModelError(
                f"tensor {tensor} is no handle that VAR_HANDLE made",
                hint="export the model so that each function names its variables itself",
            )
        return self._keys[tensor]


@dataclass(frozen=True)
class Known:
    """What the functions of a model say about its variables.

    Args:
        initial: Arrays that subgraphs reached by CALL_ONCE assign.
        assigned: Variables that some function assigns.
        users: How many functions know each variable.
    """

    initial: Mapping[Key, Array]
    assigned: frozenset[Key]
    users: Mapping[Key, int]


def known_variables(model: Record, functions: Sequence[int]) -> Known:
    """Look through all functions of a model.

    Args:
        model: The Model table.
        functions: The subgraphs that are called from outside.

    Raises:
        ModelFileError: A CALL_ONCE calls what is not there.
        UnsupportedModelError: An initial value is not constant.
    """
    initial: dict[Key, Array] = {}
    assigned: set[Key] = set()
    users: dict[Key, int] = {}
    for function in functions:
        handles, here = Handles(), set()
        for name, record in resource_operators(model, function):
            if name == "CALL_ONCE":
                initial.update(initial_values(model, called(model, record)))
            elif name == "VAR_HANDLE":
                handles.define(record)
                here.add(handles.key(operands(record, "outputs", 1)[0]))
            elif name == "ASSIGN_VARIABLE":
                assigned.add(handles.key(operands(record, "inputs", 2)[0]))
        for key in here:
            users[key] = users.get(key, 0) + 1
    return Known(initial, frozenset(assigned), users)


def resource_operators(model: Record, subgraph: int) -> Iterator[tuple[str, Record]]:
    """Yield the operators of a subgraph that have to do with resource variables, in order."""
    codes = model["operator_codes"] or []
    for index, record in enumerate(model["subgraphs"][subgraph]["operators"] or ()):
        name = operator_name(codes, index, record)
        if name in RESOURCE_OPERATORS:
            yield name, record


def called(model: Record, record: Record) -> int:
    """Return the subgraph that a CALL_ONCE runs."""
    options = record["builtin_options"]
    index = int(options[1]["init_subgraph_index"]) if options is not None else 0
    if not 0 < index < len(model["subgraphs"]):
        raise ModelFileError(
            f"CALL_ONCE runs subgraph {index} of {len(model['subgraphs'])}", hint=DAMAGED
        )
    return index


def initial_values(model: Record, subgraph: int) -> dict[Key, Array]:
    """Return what a subgraph that runs once assigns.

    Raises:
        UnsupportedModelError: It does anything else than assign constants.
    """
    record = model["subgraphs"][subgraph]
    tensors = FileTensors(record["tensors"] or [], model["buffers"] or [])
    codes, handles = model["operator_codes"] or [], Handles()
    found: dict[Key, Array] = {}
    for index, operator in enumerate(record["operators"] or ()):
        name, where = (
            operator_name(codes, index, operator),
            f"subgraph {subgraph}, operator {index}",
        )
        if name == "VAR_HANDLE":
            handles.define(operator)
        elif name == "ASSIGN_VARIABLE":
            handle, value = operands(operator, "inputs", 2)
            data = tensors.data(value)
            if data is None:
                raise UnsupportedModelError(
                    "a variable starts with what is computed", where=where, hint=_CONSTANT
                )
            found[handles.key(handle)] = data
        else:
            raise UnsupportedModelError(
                f"{name} is not supported where variables are initialized",
                where=where,
                hint=_CONSTANT,
            )
    return found


def operands(record: Record, side: str, count: int) -> list[int]:
    """Return the operands or results of an operator that has so many.

    Raises:
        ModelFileError: There are more or fewer.
    """
    given = [] if record[side] is None else [int(i) for i in record[side]]
    if len(given) != count:
        raise ModelFileError(f"has {len(given)} {side}, not {count}", hint=DAMAGED)
    return given


def zero(type: TensorType) -> Array:
    """Return what runtimes set a variable to that nothing initializes: zero, as int8 holds it."""
    zero_point = type.quant.zero_point if type.quant is not None and type.dtype == "int8" else 0
    return np.full(type.shape, zero_point, numpy_dtype(type.dtype))


@dataclass
class Variable:
    """A variable while its function is read.

    Args:
        name: How messages and the graph call it.
        type: Of its values, once one is known.
        start: The value that a step begins with, if it is read.
        now: The value that it holds at this point.
        initial: What it is at first; zero if nothing says so.
        shared: Whether other functions use it.
    """

    name: str
    type: TensorType | None = None
    start: str | None = None
    now: str | None = None
    initial: Array | None = None
    shared: bool = False

    def check(self, type: TensorType) -> None:
        """Hold a value that is read or assigned to the variable's type.

        Raises:
            UnsupportedModelError: The same bytes mean something else elsewhere.
        """
        if self.type is not None and self.type != type:
            raise UnsupportedModelError(
                f"variable {self.name!r} is {self.type} in one place and {type} in another",
                hint="convert the model so that each variable has one shape, type and scale",
            )
        self.type = type

    def start_value(self) -> Array:
        """Return the initial array, checked.

        Raises:
            ModelFileError: It is of another shape or type than the variable.
        """
        assert self.type is not None
        if self.initial is None:
            return zero(self.type)
        want = (self.type.shape, numpy_dtype(self.type.dtype))
        if (self.initial.shape, self.initial.dtype) != want:
            raise ModelFileError(
                f"variable {self.name!r} is {self.type}, but starts as "
                f"{self.initial.dtype}{list(self.initial.shape)}",
                hint=DAMAGED,
            )
        return self.initial
