"""The runtimes of others, each in a process of its own because some files crash them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

RUNTIMES = ("tflm", "BUILTIN_REF", "BUILTIN", "AUTO")
"""TensorFlow Lite Micro, and LiteRT's operator resolvers; AUTO is the one with XNNPACK."""

_SCRIPT = """
import sys
import numpy as np

def draw(rng, shape, dtype, index):
    if not np.issubdtype(dtype, np.integer):
        return (rng.standard_normal(shape) * 3 ** (index % 4)).astype(dtype)
    info = np.iinfo(dtype)
    if index < 2:  # the extremes
        return np.full(shape, (info.min, info.max)[index], dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)

def load_tflm(data):
    from tflite_micro import runtime
    it = runtime.Interpreter.from_bytes(data, arena_size=8 << 20)
    def run(count, rng):
        for index in range(count):
            for i in range(inputs):
                detail = it.get_input_details(i)
                it.set_input(draw(rng, detail["shape"], detail["dtype"], index), i)
            it.invoke()
            yield b"".join(it.get_output(i).tobytes() for i in range(outputs))
    return run

def load_litert(data):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    kind = getattr(OpResolverType, sys.argv[1])
    it = Interpreter(model_content=data, experimental_op_resolver_type=kind)
    it.allocate_tensors()
    def run(count, rng):
        for index in range(count):
            for detail in it.get_input_details():
                value = draw(rng, detail["shape"], detail["dtype"], index)
                it.set_tensor(detail["index"], value)
            it.invoke()
            yield b"".join(it.get_tensor(d["index"]).tobytes() for d in it.get_output_details())
    return run

inputs, outputs, count = map(int, sys.argv[2:5])
load = load_tflm if sys.argv[1] == "tflm" else load_litert
for path in sys.argv[5:]:
    run = load(open(path, "rb").read())
    for result in run(count, np.random.default_rng(0)):
        print(result.hex(), end=" ")
    print(flush=True)
"""


def run(
    runtime: str, models: list[bytes], *, count: int = 10, inputs: int = 1, outputs: int = 1
) -> list[list[bytes]]:
    """Run several models on the same extreme and random inputs.

    Args:
        runtime: One of RUNTIMES.
        models: `.tflite` files.
        count: How many inputs; the first two are the extremes of an integer input.
        inputs: Inputs of each model.
        outputs: Outputs of each model.

    Returns:
        For each model and input the bytes of all outputs.
    """
    assert runtime in RUNTIMES
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.tflite" for i in range(len(models))]
        for path, model in zip(paths, models, strict=True):
            path.write_bytes(model)
        command = [sys.executable, "-c", _SCRIPT, runtime, *map(str, (inputs, outputs, count))]
        done = subprocess.run(
            [*command, *map(str, paths)], capture_output=True, text=True, check=False, timeout=200
        )
    assert done.returncode == 0, f"{runtime}: {done.stderr[-2000:]}"
    results = [[bytes.fromhex(h) for h in line.split()] for line in done.stdout.splitlines()]
    assert [len(result) for result in results] == [count] * len(models)
    assert all(output for result in results for output in result)
    return results


def same_outputs(
    runtime: str, first: bytes, second: bytes, *, count: int = 10, inputs: int = 1, outputs: int = 1
) -> bool:
    """Whether two models compute the same bytes from extreme and random inputs."""
    a, b = run(runtime, [first, second], count=count, inputs=inputs, outputs=outputs)
    return a == b
