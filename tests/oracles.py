"""The runtimes of others on files of ours, in this process; see `foreign` for files of others."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ARENA = 4 << 20


def run_tflm(model: bytes, inputs: list[Array]) -> list[Array]:
    """The outputs (n, ...) of TensorFlow Lite Micro for n samples, run one by one."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA)
    rows = []
    for i in range(len(inputs[0])):
        for k, array in enumerate(inputs):
            interpreter.set_input(array[i : i + 1], k)
        interpreter.invoke()
        rows.append([interpreter.get_output(k).copy() for k in range(_outputs(model))])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def run_builtin_ref(model: bytes, inputs: list[Array]) -> list[Array]:
    """The outputs (n, ...) of LiteRT's reference kernels for n samples, run one by one."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    rows = []
    for i in range(len(inputs[0])):
        for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], array[i : i + 1])
        interpreter.invoke()
        details = interpreter.get_output_details()
        rows.append([interpreter.get_tensor(detail["index"]) for detail in details])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _outputs(model: bytes) -> int:
    from smidgen.schema import decode

    return len(decode(model)["subgraphs"][0]["outputs"])
