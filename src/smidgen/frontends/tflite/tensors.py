"""The tensors of a `.tflite` file: types and constants, each claim of the file checked first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite.sparse import dense
from smidgen.ir import QuantParams, TensorType, Value, numpy_dtype, unpack_int4
from smidgen.numerics.affine import dequantize
from smidgen.schema import Record
from smidgen.schema import TensorType as FileType

Array = np.ndarray[Any, Any]

MAX_TENSOR_BYTES = 1 << 30
"""Bytes of all tensors of a model; many times what a device that Smidgen compiles for has."""
MAX_KNOWN_BYTES = 1 << 28
"""Bytes of all constants that are larger than what the file has of them: a file of a few bytes must
not ask for any amount of memory."""
MAX_RANK = 8

DAMAGED = "the file is damaged, or the converter that wrote it is; convert the model again"
"""What to do about a file that contradicts itself."""
_DTYPES = {
    FileType.FLOAT32: "float32",
    FileType.FLOAT16: "float16",
    FileType.INT4: "int4",
    FileType.INT8: "int8",
    FileType.UINT8: "uint8",
    FileType.INT16: "int16",
    FileType.INT32: "int32",
    FileType.INT64: "int64",
    FileType.BOOL: "bool",
}
_NOT_QUANTIZED = ("float32", "float16", "bool")
_ZERO_POINTS = {"int4": (-8, 7), "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
_SHOWN = 80


def shown(index: int, name: str | None) -> str:
    """Return how messages name a tensor of a file: its index and the start of its name."""
    name = clean(name or "")
    if len(name) > _SHOWN:
        name = f"{name[:_SHOWN]}..."
    return f"tensor {index} {name!r}" if name else f"tensor {index}"


def clean(name: str) -> str:
    """Return a name with what cannot be printed on one line escaped, and not too long."""
    if not name.isprintable():
        name = name.encode("unicode_escape").decode("ascii")
    return name[:256]


class FileTensors:
    """The tensors of one subgraph, checked when they are first asked for.

    Args:
        records: The Tensor tables.
        buffers: The Buffer tables.
    """

    def __init__(self, records: Sequence[Record], buffers: Sequence[Record]) -> None:
        self._records = records
        self._buffers = buffers
        self._types: dict[int, TensorType] = {}
        self._bytes = 0
        self._known_bytes = 0

    def label(self, index: int) -> str:
        """Return how messages name a tensor."""
        return shown(index, self._records[index]["name"])

    def name(self, index: int) -> str:
        """Return the tensor's own name, "" if it has none."""
        return clean(self._records[index]["name"] or "")

    def is_variable(self, index: int) -> bool:
        """Return whether operators overwrite the tensor and find it again in the next step."""
        return 0 <= index < len(self._records) and bool(self._records[index]["is_variable"])

    def was_uint8(self, index: int) -> bool:
        """Return whether the tensor is uint8 in the file but int8 here; see `uint8`."""
        return False

    def original(self, index: int) -> TensorType:
        """Return the tensor's type in the file."""
        return self.type(index)

    def type(self, index: int) -> TensorType:
        """Return a tensor's type.

        Raises:
            ModelFileError: The file contradicts itself.
            UnsupportedModelError: Smidgen has no such tensors.
        """
        if index not in self._types:
            if not 0 <= index < len(self._records):
                raise ModelFileError(
                    f"refers to tensor {index} of {len(self._records)}", hint=DAMAGED
                )
            self._types[index] = self._checked_type(index)
        return self._types[index]

    def data(self, index: int) -> Array | None:
        """Return a constant's elements, or None for a tensor that is computed at run time.

        Raises:
            ModelFileError: The bytes in the file are not as many as the type takes.
        """
        type = self.type(index)
        record = self._records[index]
        if not 0 <= record["buffer"] < len(self._buffers):
            raise ModelFileError(
                f"has buffer {record['buffer']} of {len(self._buffers)}",
                where=self.label(index),
                hint=DAMAGED,
            )
        raw = self._buffers[record["buffer"]]["data"]
        if record["buffer"] == 0 or raw is None or raw.size == 0:
            return None
        if record["sparsity"] is not None:
            return self._dense(index, raw)
        if raw.size != type.bytes:
            raise ModelFileError(
                f"{type.dtype}{list(type.shape)} takes {type.bytes} bytes, its buffer has "
                f"{raw.size}",
                where=self.label(index),
                hint=DAMAGED,
            )
        if type.dtype == "int4":
            return unpack_int4(raw, type.size).reshape(type.shape)
        dtype = numpy_dtype(type.dtype).newbyteorder("<")
        array: Array = raw.view(dtype).reshape(type.shape)
        return np.require(array, requirements="A")  # a copy only where a writer forgot to align

    def take(self, index: int, size: int) -> None:
        """Count the bytes of a constant that the file does not hold as such.

        Raises:
            ModelFileError: There are too many.
        """
        self._known_bytes += size
        if self._known_bytes > MAX_KNOWN_BYTES:
            raise ModelFileError(
                f"constants that are worked out take more than {MAX_KNOWN_BYTES >> 20} MB in all",
                where=self.label(index),
            )

    def _dense(self, index: int, raw: Array) -> Array:
        """Return a constant that is stored sparsely."""
        type, where = self.type(index), self.label(index)
        dtype = numpy_dtype(type.dtype).newbyteorder("<")
        if type.dtype == "int4" or raw.size % dtype.itemsize:
            raise ModelFileError(
                f"{raw.size} bytes are no sparse {type.dtype}", where=where, hint=DAMAGED
            )
        self.take(index, type.bytes)
        values: Array = np.require(raw.view(dtype), requirements="A")
        return dense(self._records[index]["sparsity"], type.shape, values, where)

    def _checked_type(self, index: int) -> TensorType:
        record = self._records[index]
        where = self.label(index)
        _refuse_kinds(record, where)
        shape = _shape(record, where)
        dtype = _DTYPES.get(record["type"])
        if dtype is None:
            kind = getattr(record["type"], "name", record["type"])
            raise UnsupportedModelError(
                f"element type {kind} is not supported",
                where=where,
                hint=f"supported are {', '.join(_DTYPES.values())}",
            )
        quant = None
        if dtype not in _NOT_QUANTIZED:
            quant = _quantization(record["quantization"], shape, dtype, where)
        type = TensorType(shape, dtype, quant)
        self._bytes += type.bytes
        if self._bytes > MAX_TENSOR_BYTES:
            raise ModelFileError(
                f"the tensors take more than {MAX_TENSOR_BYTES >> 20} MB in all", where=where
            )
        return type


def real(constant: Value) -> Array:
    """Return the float32 numbers that the integers of a constant stand for."""
    quant, data = constant.type.quant, constant.data
    assert quant is not None and data is not None
    shape = [-1 if i == quant.axis else 1 for i in range(data.ndim)]
    floats = dequantize(data, np.reshape(quant.scales, shape), np.reshape(quant.zero_points, shape))
    floats.setflags(write=False)
    return floats


def _refuse_kinds(record: Record, where: str) -> None:
    if record["variant_tensors"] or record["external_buffer"]:
        raise UnsupportedModelError(
            "variant tensors and external buffers are not supported", where=where
        )


def _shape(record: Record, where: str) -> tuple[int, ...]:
    shape = () if record["shape"] is None else tuple(record["shape"].tolist())
    if len(shape) > MAX_RANK:
        raise ModelFileError(f"has {len(shape)} dimensions", where=where, hint=DAMAGED)
    if any(d <= 0 for d in shape):
        raise UnsupportedModelError(
            f"shape {list(shape)} has a dimension that is not known or empty",
            where=where,
            hint="convert the model with a fixed input shape",
        )
    if math.prod(shape) > MAX_TENSOR_BYTES:
        raise ModelFileError(f"shape {list(shape)} is too large", where=where, hint=DAMAGED)
    return shape


def _quantization(
    record: Record | None, shape: tuple[int, ...], dtype: str, where: str
) -> QuantParams | None:
    if record is None:
        return None
    if record["details"] is not None:
        raise UnsupportedModelError(f"{record['details'][0]} is not supported", where=where)
    scales, zero_points = record["scale"], record["zero_point"]
    if scales is None or scales.size == 0:
        return None  # only the range seen in training, if that
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ModelFileError("has a scale that is not positive and finite", where=where)
    count = 0 if zero_points is None else zero_points.size
    if count not in (1, scales.size):
        raise ModelFileError(
            f"has {scales.size} scales but {count} zero points", where=where, hint=DAMAGED
        )
    low, high = _ZERO_POINTS.get(dtype, (-(2**31), 2**31 - 1))
    if int(zero_points.min()) < low or int(zero_points.max()) > high:
        raise ModelFileError(f"has a zero point outside {low}..{high}", where=where)
    axis = None if scales.size == 1 else _channel_axis(record, shape, where)
    points = np.broadcast_to(zero_points, scales.shape)  # one for all channels is TFLM's shorthand
    return QuantParams(tuple(scales.tolist()), tuple(points.tolist()), axis)


def _channel_axis(record: Record, shape: tuple[int, ...], where: str) -> int:
    """Return the axis that has as many positions as there are scales."""
    count, axis = record["scale"].size, record["quantized_dimension"]
    if 0 <= axis < len(shape) and shape[axis] == count:
        return int(axis)
    fitting = [i for i, size in enumerate(shape) if size == count]
    if not 0 <= axis < len(shape) and len(fitting) == 1:
        return fitting[0]  # old converters gave biases the axis of their weights
    raise ModelFileError(
        f"has {count} scales on axis {axis} of shape {list(shape)}", where=where, hint=DAMAGED
    )


def vector(items: np.ndarray | None) -> list[int]:
    """Return the integers of a vector of a file, none for one that is left out."""
    return [] if items is None else [int(i) for i in items]
