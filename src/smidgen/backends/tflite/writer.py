"""Write a graph as a `.tflite` file that holds what runtimes need and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.errors import GraphError, SmidgenError, UnsupportedModelError
from smidgen.files import replace_file
from smidgen.ir import Graph, Node, QuantParams, TensorType, pack_int4
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

    Equal constants are stored once. Tensors that nothing reads, descriptions, ranges seen in
    training and converter metadata are not written.

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
    if graph.states:
        raise UnsupportedModelError(
            "models with states are not written yet", where=f"state {graph.states[0].name!r}"
        )
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
        self.implied = _implied_biases(graph) if compact else frozenset[str]()

    def model(self, plan: Mapping[str, int] | None) -> Record:
        """Return the Model table."""
        inputs = [self.value(name) for name in self.graph.inputs]
        operators = [self.operator(node) for node in self.graph.nodes]
        subgraph: Record = {
            "inputs": inputs,
            "operators": operators,
            "outputs": [self.value(name) for name in self.graph.outputs],
            "tensors": self.tensors,
        }
        model: Record = {
            "version": VERSION,
            "operator_codes": self.codes,
            "subgraphs": [subgraph],
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
            if value.data is None:
                self.index[name] = self.tensor(value.type, 0, name)
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
        inputs = [self.operand(node, operand) for operand in form.operands]
        while inputs and inputs[-1] == -1:
            inputs.pop()
        record: Record = {
            "opcode_index": code,
            "inputs": inputs,
            "outputs": [self.value(name) for name in node.outputs],
        }
        if form.options:
            record["builtin_options"] = (form.options, _fields(form.options, form.fields))
        return record

    def operand(self, node: Node, operand: int | Array | None) -> int:
        """Return the tensor of an operand, -1 for one left out."""
        if operand is None:
            return -1
        if not isinstance(operand, int):
            type = TensorType(operand.shape, str(operand.dtype))
            return self.constant(operand, type, f"{node.outputs[0]}/{operand.dtype}")
        name = node.inputs[operand] if operand < len(node.inputs) else None
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
        return {**maps, "signature_key": "serving_default"}

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
        offsets = np.full(len(self.tensors), _NOT_PLANNED, "<i4")
        for name, offset in plan.items():
            offsets[self.index[name]] = offset
        return np.concatenate((np.array([_PLAN_VERSION, 0, len(offsets)], "<i4"), offsets))


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
