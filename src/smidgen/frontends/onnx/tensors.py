"""ONNX tensors and element types → numpy arrays and the graph's element types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.onnx.reader import DAMAGED, ExternalData, clean, import_onnx

Array = np.ndarray[Any, Any]

MAX_ELEMENTS = 1 << 26
MAX_RANK = 10

# Element types by their numbers in TensorProto.DataType. Half precision and doubles are computed
# in float32, integers of 64 bits in int32: the graph's inputs, outputs and activations are small.
NUMPY: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "float32",  # bfloat16
    21: "uint8",  # uint4
    22: "int8",  # int4
}
_BYTES = {16: 2}
HALF_BYTES = (21, 22)


def dtype_of(number: int, where: str) -> np.dtype[Any]:
    """The numpy type of a tensor's elements.

    Raises:
        UnsupportedModelError: if it is none that a graph can hold, such as strings.
    """
    if number in NUMPY:
        return np.dtype(NUMPY[number])
    names = import_onnx().TensorProto.DataType
    try:
        name = names.Name(number).lower()
    except ValueError:
        name = f"of type {number}"
    raise UnsupportedModelError(
        f"its elements are {name}",
        where=where,
        hint=f"supported are {', '.join(sorted(set(NUMPY.values())))}",
    )


def graph_dtype(dtype: np.dtype[Any]) -> str:
    """The element type that a graph's activations have instead of numpy's `dtype`.

    Example:
        >>> graph_dtype(np.dtype("int64"))
        'int32'
    """
    if dtype.kind == "f":
        return "float32"
    if dtype.kind in "iu":
        return "int32"
    return "bool"


def narrowed(array: Array, what: str) -> Array:
    """An array in the element type of the graph; integers beyond 32 bits are refused.

    Raises:
        UnsupportedModelError: naming `what`.
    """
    dtype = graph_dtype(array.dtype)
    if dtype == "int32" and array.size:
        limits = np.iinfo(np.int32)
        if array.max() > limits.max or array.min() < limits.min:
            raise UnsupportedModelError(
                f"{what} holds {int(np.abs(array.astype(object)).max()):,}, beyond 32 bits",
                hint="use numbers that fit 32 bits",
            )
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype, copy=False)


def to_array(tensor: Any, external: ExternalData) -> Array:
    """The array of a TensorProto, checked before it is made.

    Raises:
        ModelFileError: if its data does not fill its shape.
        UnsupportedModelError: if its elements are strings or other such things.
    """
    where = f"tensor {clean(tensor.name) or 'without a name'!r}"
    dtype = dtype_of(tensor.data_type, where)
    shape = tuple(tensor.dims)
    if len(shape) > MAX_RANK or any(not 0 <= d < MAX_ELEMENTS for d in shape):
        raise ModelFileError(f"its shape is {list(shape)[:MAX_RANK]}", where=where, hint=DAMAGED)
    count = math.prod(shape)
    half = tensor.data_type in HALF_BYTES
    size = (count + 1) // 2 if half else count * _BYTES.get(tensor.data_type, dtype.itemsize)
    if count > MAX_ELEMENTS:
        raise ModelFileError(f"its shape is {list(shape)}", where=where, hint=DAMAGED)
    if tensor.data_location == 1:
        flat = _unpacked(external.read(tensor, size), tensor.data_type, count, dtype)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size:
            raise ModelFileError(
                f"it has {len(tensor.raw_data):,} bytes for the shape {list(shape)}",
                where=where,
                hint=DAMAGED,
            )
        flat = _unpacked(tensor.raw_data, tensor.data_type, count, dtype)
    else:
        flat = _listed(tensor, dtype, count, where)
    return flat.reshape(shape)


def _unpacked(raw: bytes, number: int, count: int, dtype: np.dtype[Any]) -> Array:
    if number in HALF_BYTES:
        packed = np.frombuffer(raw, np.uint8)
        nibbles = np.stack([packed & 15, packed >> 4], axis=-1).ravel()[:count]
        if number == 22:
            return (nibbles.astype(np.int8) ^ 8) - 8
        return nibbles
    if number == 16:  # the upper half of a float32
        halves = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return halves.view(np.float32)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)


def _listed(tensor: Any, dtype: np.dtype[Any], count: int, where: str) -> Array:
    """The elements of a tensor that keeps them in a list of numbers."""
    number = tensor.data_type
    if number == 1:
        values: Array = np.array(tensor.float_data, np.float32)
    elif number == 11:
        values = np.array(tensor.double_data, np.float64)
    elif number in (12, 13):
        values = np.array(tensor.uint64_data, np.uint64)
    elif number == 7:
        values = np.array(tensor.int64_data, np.int64)
    else:
        values = np.array(tensor.int32_data, np.int32)
    if number in (10, 16):
        bits = values.astype(np.uint16)
        values = bits.view(np.float16) if number == 10 else _unpacked(bits.tobytes(), 16, 0, dtype)
    elif number in HALF_BYTES:
        values = _unpacked(values.astype(np.uint8).tobytes(), number, count, dtype)
    if values.size != count:
        raise ModelFileError(
            f"it has {values.size:,} elements for the shape {list(tensor.dims)}",
            where=where,
            hint=DAMAGED,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)
