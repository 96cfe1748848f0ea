"""Write a graph as a `.tflite` file that holds what runtimes need and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.tflite._states import Assign, Read, schedule, variable_tensors
from smidgen.errors import GraphError, SmidgenError, UnsupportedModelError
from smidgen.files import replace_file
from smidgen.ir import Graph, Node, QuantParams, State, TensorType, pack_int4
from smidgen.ops import NodeTypes, Op, Role
from smidgen.schema import TABLES, BuiltinOperator, Record, encode
from smidgen.schema import TensorType as FileType
from smidgen.schema.fields import Scalar
from smidgen.schema.tables import VERSION

Array = np.ndarray[Any, Any]

PLAN_NAME = "OfflineMemoryAllocation"
"""The metadata in which TensorFlow Lite Micro looks for a memory plan."""
_PLAN_VERSION = 1
_NOT_PLANNED = -1
_PLAN_ALIGNMENT = 16

_LARGEST_OLD_CODE = 127  # what the one-byte field for the operator holds for every newer one


def write(
    graph: Graph,
    path: str | os.PathLike[str] | None = None,
    *,
    names: bool = False,
    compact: bool = False,
    tflm_only: bool = False,
    offline_memory_plan: Mapping[str, int] | None = None,
) -> bytes:
    """Write a graph as a `.tflite` file.

    States become resource variables with a subgraph that gives them their initial values, or the
    variable tensors of operators that keep one. Equal constants are stored once. Tensors that
    nothing reads, descriptions, ranges seen in training and converter metadata are not written.

    Args:
        graph: Any graph whose operators `.tflite` has.
        path: Where to put the file. It appears there whole or not at all. None only returns it.
        names: Write the names of tensors, and a signature by which LiteRT users call the model.
        compact: Leave out the scales of per-channel biases, which follow from those of inputs and
            weights. TensorFlow Lite Micro and LiteRT compute the same bytes from 4 bytes a channel
            less; LiteRT's XNNPACK and GPU delegates do not take such layers, so it is slower there.
        tflm_only: Leave out all but one zero point of per-channel weights as well. TensorFlow Lite
            Micro reads no more than that, but LiteRT does not load it.
        offline_memory_plan: Byte offset of each activation in TensorFlow Lite Micro's arena, by
            name, multiples of 16. Activations that are left out are planned by the runtime.

    Returns:
        The file.

    Raises:
        UnsupportedModelError: An operator or element type has no form in `.tflite`.
        GraphError: The memory plan names what the graph does not have.
        OSError: The file cannot be written.

    Example:
        >>> from smidgen import write_tflite  # by its public name
        >>> write_tflite(int8, "copy.tflite")[4:8]
        b'TFL3'
    """
    writer = _Writer(graph, names, compact or tflm_only, tflm_only)
    data = encode(writer.model(offline_memory_plan))
    if path is not None:
        replace_file(Path(path), data)
    return data


class _Writer:
    """One file in the making."""

    def __init__(self, graph: Graph, names: bool, compact: bool, tflm_only: bool) -> None:
        self.graph = graph
        self.names = names
        self.tflm_only = tflm_only
        self.tensors: list[Record] = []
        self.buffers: list[Record] = [{}]  # number 0 is empty and means: not a constant
        self.codes: list[Record] = []
        self.index: dict[str, int] = {}  # of each value that has a tensor
        self.buffer_of: dict[bytes, int] = {}
        self.constant_of: dict[tuple[object, ...], int] = {}
        self.variable = variable_tensors(graph)
        self.kept = tuple(s for s in graph.states if s.output not in self.variable)
        self.handle: dict[str, int] = {}  # of the states that are resource variables
        self.implied = _implied_biases(graph) if compact else frozenset[str]()

    def model(self, plan: Mapping[str, int] | None) -> Record:
        """Return the Model table."""
        inputs = [self.value(name) for name in self.graph.inputs]
        operators = [self.call_once()] if self.kept else []
        operators += [self.var_handle(state) for state in self.kept]
        operators += [self.step(step) for step in schedule(self.graph, self.kept)]
        subgraph: Record = {
            "inputs": inputs,
            "operators": operators,
            "outputs": [self.value(name) for name in self.graph.outputs],
            "tensors": self.tensors,
        }
        model: Record = {
            "version": VERSION,
            "operator_codes": self.codes,
            "subgraphs": [subgraph, *([self.initial()] if self.kept else [])],
            "buffers": self.buffers,
        }
        if self.names:
            subgraph["name"] = self.graph.name
            model["signature_defs"] = [self.signature()]
        if plan is not None:
            buffer = self.buffer(self.offsets(plan).tobytes())
            model["metadata"] = [{"name": PLAN_NAME, "buffer": buffer}]
        return model

    def value(self, name: str) -> int:
        """Return the tensor of a value, made when it is first asked for."""
        if name not in self.index:
            value = self.graph.values[name]
            if name in self.variable:
                self.index[name] = self.value(self.variable[name])
            elif value.data is None:
                self.index[name] = self.tensor(value.type, 0, name)
                if name in self.variable.values():
                    self.tensors[-1]["is_variable"] = True
            else:
                type = value.type.with_quant(None) if name in self.implied else value.type
                self.index[name] = self.constant(value.data, type, name)
        return self.index[name]

    def constant(self, data: Array, type: TensorType, name: str) -> int:
        """Return a tensor that holds `data`; equal ones without a name are one tensor."""
        if data.size == 0:
            raise UnsupportedModelError(
                "a constant without elements has no form in .tflite", where=f"constant {name!r}"
            )
        raw = pack_int4(data).tobytes() if type.dtype == "int4" else _little_endian(data)
        key = (type, raw, self.names and name)
        if key not in self.constant_of:
            self.constant_of[key] = self.tensor(type, self.buffer(raw), name)
        return self.constant_of[key]

    def buffer(self, raw: bytes) -> int:
        """Return the buffer that holds `raw`."""
        if raw not in self.buffer_of:
            self.buffer_of[raw] = len(self.buffers)
            self.buffers.append({"data": np.frombuffer(raw, np.uint8)})
        return self.buffer_of[raw]

    def tensor(self, type: TensorType, buffer: int, name: str) -> int:
        """Append a tensor and return its number."""
        record: Record = {
            "shape": type.shape,
            "type": FileType[type.dtype.upper()],
            "buffer": buffer,
        }
        if type.quant is not None:
            record["quantization"] = self.quantization(type.quant)
        if self.names:
            record["name"] = name
        self.tensors.append(record)
        return len(self.tensors) - 1

    def quantization(self, quant: QuantParams) -> Record:
        """Return the QuantizationParameters table."""
        zero_points = quant.zero_points
        if self.tflm_only and len(set(zero_points)) == 1:
            zero_points = zero_points[:1]
        return {
            "scale": quant.scales,
            "zero_point": zero_points,
            "quantized_dimension": quant.axis or 0,
        }

    def operator(self, node: Node) -> Record:
        """Return the Operator table of a node, its operands made before its results."""
        op = node.op
        assert isinstance(op, Op), "graphs that are written hold operators of smidgen.ops"
        types = NodeTypes(
            self.graph.types(node.inputs), tuple(self.graph.type(n) for n in node.outputs)
        )
        try:
            form = op.tflite_write(types)
            code = self.code(op.name, op.tflite_version(types))
        except SmidgenError as error:
            error.where = error.where or node.label
            raise
        inside = {output for i, output in op.states.items() if node.inputs[i] is not None}
        self._check_weights(node, types)
        inputs = [self.operand(node, operand) for operand in form.operands]
        while inputs and inputs[-1] == -1 and form.operands[len(inputs) - 1] is not None:
            inputs.pop()
        record: Record = {
            "opcode_index": code,
            "inputs": inputs,
            "outputs": [self.value(n) for i, n in enumerate(node.outputs) if i not in inside],
        }
        if form.intermediates:
            name = f"{node.outputs[0]}/intermediate"
            record["intermediates"] = [self.tensor(type, 0, name) for type in form.intermediates]
        if form.options:
            record["builtin_options"] = (form.options, _fields(form.options, form.fields))
        return record

    def step(self, step: Node | Read | Assign) -> Record:
        """Return the Operator table of a node, or of a state that is read or assigned."""
        if isinstance(step, Node):
            return self.operator(step)
        handle, state = self.handle[step.state.name], step.state
        if isinstance(step, Read):
            return self.plain("READ_VARIABLE", [handle], [self.value(state.input)])
        return self.plain("ASSIGN_VARIABLE", [handle, self.value(state.output)], [])

    def plain(self, name: str, inputs: list[int], outputs: list[int]) -> Record:
        """Return the Operator table of an operator without options."""
        return {"opcode_index": self.code(name, 1), "inputs": inputs, "outputs": outputs}

    def call_once(self) -> Record:
        """Return the operator that gives the resource variables their initial values."""
        options = ("CallOnceOptions", {"init_subgraph_index": 1})
        return {**self.plain("CALL_ONCE", [], []), "builtin_options": options}

    def var_handle(self, state: State) -> Record:
        """Return the operator that makes the handle of a state."""
        self.tensors.append({"shape": (), "type": FileType.RESOURCE, "buffer": 0})
        if self.names:
            self.tensors[-1]["name"] = f"{state.name}/handle"
        self.handle[state.name] = len(self.tensors) - 1
        options = ("VarHandleOptions", {"container": "", "shared_name": state.name})
        record = self.plain("VAR_HANDLE", [], [self.handle[state.name]])
        return {**record, "builtin_options": options}

    def initial(self) -> Record:
        """Return the subgraph that assigns the initial values."""
        main, self.tensors = self.tensors, []
        operators = []
        for state in self.kept:
            operators.append(self.var_handle(state))
            raw = _little_endian(np.ascontiguousarray(state.initial))
            type = self.graph.type(state.input)
            value = self.tensor(type, self.buffer(raw), f"{state.name}/initial")
            handle = self.handle[state.name]
            operators.append(self.plain("ASSIGN_VARIABLE", [handle, value], []))
        tensors, self.tensors = self.tensors, main
        return {"inputs": [], "outputs": [], "operators": operators, "tensors": tensors}

    @staticmethod
    def _check_weights(node: Node, types: NodeTypes) -> None:
        """Refuse int8 weights with a zero point: runtimes would ignore it."""
        assert isinstance(node.op, Op)
        for role, type in zip(node.op.quant_rule(*types.inputs).roles, types.inputs, strict=False):
            if role is Role.WEIGHT and type is not None and type.quant is not None:
                if any(type.quant.zero_points):
                    raise UnsupportedModelError(
                        "int8 weights with a zero point, which no runtime's int8 kernels take",
                        where=node.label,
                        hint="other runtimes run the uint8 file that the model came from",
                    )

    def operand(self, node: Node, operand: int | Array | None) -> int:
        """Return the tensor of an operand, -1 for one left out."""
        if operand is None:
            return -1
        if not isinstance(operand, int):
            type = TensorType(operand.shape, str(operand.dtype))
            return self.constant(operand, type, f"{node.outputs[0]}/{operand.dtype}")
        name = node.inputs[operand] if operand < len(node.inputs) else None
        if name is not None and self.graph.data(name) is not None and operand in _states(node):
            index = self.tensor(self.graph.type(name), 0, f"{node.outputs[0]}/state_{operand}")
            self.tensors[index]["is_variable"] = True
            return index
        return -1 if name is None else self.value(name)

    def code(self, name: str, version: int) -> int:
        """Return the position of an operator in the list of those the file uses."""
        number = BuiltinOperator[name]
        record: Record = {
            "builtin_code": number,
            "deprecated_builtin_code": min(int(number), _LARGEST_OLD_CODE),
            "version": version,
        }
        if record not in self.codes:
            self.codes.append(record)
        return self.codes.index(record)

    def signature(self) -> Record:
        """Return the signature: inputs and outputs by name."""
        maps = {
            side: [{"name": name, "tensor_index": self.index[name]} for name in names]
            for side, names in (("inputs", self.graph.inputs), ("outputs", self.graph.outputs))
        }
        return {**maps, "signature_key": self.graph.signature or "serving_default"}

    def offsets(self, plan: Mapping[str, int]) -> Array:
        """Return a memory plan as TensorFlow Lite Micro reads it, int32."""
        known = {name for name in self.index if not self.graph.values[name].is_constant}
        for name, offset in plan.items():
            if name not in known:
                raise GraphError(f"the memory plan places {name!r}, which is no activation")
            if offset < 0 or offset % _PLAN_ALIGNMENT:
                raise GraphError(
                    f"the memory plan places {name!r} at {offset}, "
                    f"not at a multiple of {_PLAN_ALIGNMENT}"
                )
        initial = 2 * len(self.kept)  # tensors of the second subgraph: handles and values
        offsets = np.full(len(self.tensors) + initial, _NOT_PLANNED, "<i4")
        for name, offset in plan.items():
            offsets[self.index[name]] = offset
        return np.concatenate((np.array([_PLAN_VERSION, 0, len(offsets)], "<i4"), offsets))


def _states(node: Node) -> Mapping[int, int]:
    assert isinstance(node.op, Op)
    return node.op.states


def _fields(table: str, fields: Mapping[str, Any]) -> Record:
    """Return an options table with its enums as numbers."""
    record = dict(fields)
    for field in TABLES[table].fields:
        value = record.get(field.name)
        if isinstance(field.kind, Scalar) and field.kind.enum and isinstance(value, str):
            record[field.name] = field.kind.enum[value]
    return record


def _implied_biases(graph: Graph) -> frozenset[str]:
    """Return the biases with one scale a channel: it follows from those of inputs and weights."""
    found: set[str] = set()
    for node in graph.nodes:
        assert isinstance(node.op, Op)
        roles = node.op.quant_rule(*graph.types(node.inputs)).roles
        for role, name in zip(roles, node.inputs, strict=False):
            if role is Role.BIAS and name is not None:
                quant = graph.type(name).quant
                if quant is not None and quant.axis is not None:
                    found.add(name)
    return frozenset(found)


def _little_endian(data: Array) -> bytes:
    return data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
