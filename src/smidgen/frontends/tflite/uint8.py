"""uint8 models become int8 ones at the door: every element, with its zero point, 128 lower.

Converters made uint8 models before 2019. Runtimes compute the same of a number and of one that is
128 lower with a lower zero point, but for operators that say otherwise (`Op.shifts`): those keep
uint8. Inputs and outputs of the model keep it too, and are converted first and last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.frontends.tflite.tensors import FileTensors
from smidgen.ir import QuantParams, TensorType, Value
from smidgen.schema import Record
from smidgen.schema import TensorType as FileType

Array = np.ndarray[Any, Any]

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # they take uint8 as it is
_RANGE = 127


def computes_uint8(names: Sequence[str], operators: Sequence[Record], tensors: Any) -> bool:
    """Return whether an operator other than a conversion has quantized uint8 tensors.

    Args:
        names: The operators' names.
        operators: The Operator tables.
        tensors: The Tensor tables.
    """
    return any(
        _is_uint8(tensors[index])
        for name, record in zip(names, operators, strict=True)
        if name not in _CONVERSIONS
        for side in ("inputs", "outputs")
        for index in ([] if record[side] is None else record[side])
        if 0 <= index < len(tensors)
    )


def _is_uint8(record: Record) -> bool:
    scales = (record["quantization"] or {}).get("scale")
    return record["type"] == FileType.UINT8 and scales is not None and len(scales) > 0


class ShiftedTensors(FileTensors):
    """The tensors of a uint8 model, as int8."""

    def was_uint8(self, index: int) -> bool:
        """Return whether the tensor is uint8 in the file."""
        return 0 <= index < len(self._records) and _is_uint8(self._records[index])

    def original(self, index: int) -> TensorType:
        """Return the tensor's type in the file."""
        return super().type(index)

    def type(self, index: int) -> TensorType:
        """Return a tensor's type, int8 for uint8."""
        type = super().type(index)
        if type.quant is None or not self.was_uint8(index):
            return type
        quant = type.quant
        lower = QuantParams(quant.scales, tuple(z - 128 for z in quant.zero_points), quant.axis)
        return TensorType(type.shape, "int8", lower)

    def data(self, index: int) -> Array | None:
        """Return a constant's elements, 128 lower where they are uint8."""
        array = super().data(index)
        if array is None or not self.was_uint8(index):
            return array
        lower: Array = array ^ np.int8(-128)
        lower.setflags(write=False)
        return lower


def centred(weights: Value) -> Value:
    """Return weights without a zero point if int8 has room for that, otherwise as they are."""
    quant, data = weights.type.quant, weights.data
    assert quant is not None and data is not None
    shape = [-1 if i == quant.axis else 1 for i in range(data.ndim)]
    distance = data.astype(np.int16) - np.reshape(np.array(quant.zero_points, np.int16), shape)
    if np.abs(distance).max(initial=0) > _RANGE:
        return weights
    symmetric = QuantParams(quant.scales, (0,) * len(quant.scales), quant.axis)
    return Value(weights.name, weights.type.with_quant(symmetric), distance.astype(np.int8))
