"""Resource variables and variable tensors of a file, as states of a graph."""

from __future__ import annotations

from dataclasses import replace

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite.functions import callable_subgraphs
from smidgen.frontends.tflite.tensors import DAMAGED
from smidgen.frontends.tflite.values import Values
from smidgen.frontends.tflite.variables import (
    Handles,
    Key,
    Variable,
    called,
    initial_values,
    known_variables,
    operands,
    variable_name,
)
from smidgen.ir import State, Value
from smidgen.schema import Record


class Resources(Values):
    """The values of one subgraph, and what it remembers."""

    def __init__(self, model: Record, index: int, signature: Record | None) -> None:
        super().__init__(model, index, signature)
        self.handles = Handles()
        self.known = known_variables(model, callable_subgraphs(model, index))

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
                f"variable {variable.name!r} is read, but nothing assigns it", hint=DAMAGED
            )
        variable.now = variable.start = self._output(output)
        if key not in self.known.assigned:  # it never changes
            value = self.values[variable.now]
            self.values[variable.now] = replace(value, data=variable.start_value())

    def _new_state(self, tensor: int) -> str:
        """Return the value that an operator leaves in a variable tensor."""
        variable = self.variables.get(tensor)
        if variable is None:
            raise ModelFileError("keeps its state in a tensor that is not variable", hint=DAMAGED)
        assert variable.type is not None
        name = self._fresh(f"{variable.name}_new")
        self.values[name] = Value(name, variable.type)
        self.names[tensor] = variable.now = name
        return name

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
