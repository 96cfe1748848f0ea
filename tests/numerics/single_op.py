"""Runs one unary operator in TensorFlow Lite Micro: somebody else's truth for the numerics."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.schema import BuiltinOperator, TensorType, encode

Quant = tuple[float, int]


def run(
    operator: str,
    x: np.ndarray[Any, Any],
    quant: Quant | None,
    output_dtype: str,
    output_quant: Quant | None,
    options: tuple[str, dict[str, Any]] | None = None,
) -> np.ndarray[Any, Any]:
    """The output of a model of one operator, shaped like its input."""
    from tflite_micro.python.tflite_micro import runtime

    def tensor(name: str, dtype: str, mapping: Quant | None) -> dict[str, Any]:
        record: dict[str, Any] = {
            "name": name,
            "shape": np.array(x.shape, np.int32),
            "type": TensorType[dtype.upper()],
            "buffer": 0,
        }
        if mapping is not None:
            record["quantization"] = {
                "scale": np.array([mapping[0]], np.float32),
                "zero_point": np.array([mapping[1]], np.int64),
            }
        return record

    code = BuiltinOperator[operator]
    node = {"opcode_index": 0, "inputs": np.array([0], np.int32)}
    node["outputs"] = np.array([1], np.int32)
    if options is not None:
        node["builtin_options"] = options
    model = {
        "version": 3,
        "operator_codes": [
            {"deprecated_builtin_code": min(code, 127), "builtin_code": code, "version": 1}
        ],
        "subgraphs": [
            {
                "tensors": [
                    tensor("x", x.dtype.name, quant),
                    tensor("y", output_dtype, output_quant),
                ],
                "inputs": np.array([0], np.int32),
                "outputs": np.array([1], np.int32),
                "operators": [node],
            }
        ],
        "buffers": [{}],
    }
    interpreter = runtime.Interpreter.from_bytes(encode(model), arena_size=64 * 1024)
    interpreter.set_input(x, 0)
    interpreter.invoke()
    return interpreter.get_output(0)
