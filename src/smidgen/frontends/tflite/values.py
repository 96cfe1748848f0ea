"""Tensors of a file on their way to values of a graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite.tensors import DAMAGED, FileTensors, clean, real
from smidgen.frontends.tflite.uint8 import ShiftedTensors, centred
from smidgen.frontends.tflite.variables import Key, Variable
from smidgen.ir import Node, QuantParams, TensorType, Value
from smidgen.ops import Role, get_op
from smidgen.schema import Record


class Values:
    """The values of one subgraph, by the tensors that they were."""

    def __init__(self, model: Record, index: int, signature: Record | None) -> None:
        self.model = model
        self.signature = signature
        self.subgraph: Record = model["subgraphs"][index]
        self.tensors = FileTensors(self.subgraph["tensors"] or [], model["buffers"] or [])
        self.values: dict[str, Value] = {}
        self.given = self._given_names()
        self.names: dict[int, str] = {}  # of the tensors that are known so far
        self.real: dict[str, str] = {}  # float forms of integer constants
        self.variables: dict[Key | int, Variable] = {}  # by name, or number of a variable tensor

    def _input(self, index: int, nodes: list[Node]) -> str:
        type = self.tensors.original(index)
        if index in self.names or self.tensors.data(index) is not None:
            raise ModelFileError(
                "is an input of the model, but also a constant or another input",
                where=self.tensors.label(index),
                hint=DAMAGED,
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
                    "is read before it is computed", where=self.tensors.label(index), hint=DAMAGED
                )
            return self._define(index, Value("", type, data))
        return self.names[index]

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
                hint=DAMAGED,
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
