"""A small valid `.tflite` model as records, to be changed one field at a time."""

from __future__ import annotations

import numpy as np

from smidgen.schema import ActivationFunctionType, BuiltinOperator, Padding, Record
from smidgen.schema import TensorType as FileType

Q = {"scale": [0.5], "zero_point": [3]}


def small() -> Record:
    """int8 (1, 4, 4, 2) → CONV_2D 1x1 → RELU."""
    weights = np.arange(6, dtype=np.int8)
    bias = np.arange(3, dtype="<i4")
    conv = {
        "padding": Padding.VALID,
        "stride_w": 1,
        "stride_h": 1,
        "fused_activation_function": ActivationFunctionType.RELU6,
    }
    channels = {"scale": [0.1, 0.2, 0.3], "zero_point": [0, 0, 0], "quantized_dimension": 0}
    return {
        "version": 3,
        "operator_codes": [
            {"builtin_code": BuiltinOperator.CONV_2D, "version": 3},
            {"builtin_code": BuiltinOperator.RELU, "version": 2},
        ],
        "subgraphs": [
            {
                "tensors": [
                    {"shape": [1, 4, 4, 2], "type": FileType.INT8, "name": "x", "quantization": Q},
                    {
                        "shape": [3, 1, 1, 2],
                        "type": FileType.INT8,
                        "buffer": 1,
                        "name": "w",
                        "quantization": dict(channels),
                    },
                    {
                        "shape": [3],
                        "type": FileType.INT32,
                        "buffer": 2,
                        "name": "b",
                        "quantization": {**channels, "scale": [0.05, 0.1, 0.15]},
                    },
                    {"shape": [1, 4, 4, 3], "type": FileType.INT8, "name": "y", "quantization": Q},
                    {"shape": [1, 4, 4, 3], "type": FileType.INT8, "name": "z", "quantization": Q},
                ],
                "inputs": [0],
                "outputs": [4],
                "operators": [
                    {
                        "opcode_index": 0,
                        "inputs": [0, 1, 2],
                        "outputs": [3],
                        "builtin_options": ("Conv2DOptions", conv),
                    },
                    {"opcode_index": 1, "inputs": [3], "outputs": [4]},
                ],
            }
        ],
        "buffers": [{}, {"data": weights.view(np.uint8)}, {"data": bias.view(np.uint8)}],
    }


def tensor(model: Record, index: int) -> Record:
    found: Record = model["subgraphs"][0]["tensors"][index]
    return found


def operator(model: Record, index: int) -> Record:
    found: Record = model["subgraphs"][0]["operators"][index]
    return found
