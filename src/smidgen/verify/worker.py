"""The process in which a foreign runtime lives: run as `python -m smidgen.verify.worker`.

Models come in and results go out as frames. A model that a runtime refuses is answered with the
refusal; a model that kills the runtime kills this process, and the other end of the pipe sees
that. The file imports nothing but numpy until it is told which runtime to load.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from smidgen.verify.frames import read_frame, write_frame

Array = np.ndarray[Any, Any]

_FIRST_ARENA = 64 << 20  # untouched pages cost nothing, and far too small an arena crashes TFLM
_LARGEST_ARENA = 1 << 30


def run_tflm(
    model: bytes, inputs: list[Array], wanted: list[int], _: str, stream: bool
) -> list[Array]:
    """Run samples through TensorFlow Lite Micro.

    Args:
        model: A `.tflite` file.
        inputs: One array (n, ...) for each input.
        wanted: Numbers of the tensors to return; outputs when there are none.
        stream: Whether the samples are consecutive steps, between which nothing is reset.

    Returns:
        One array (n, ...) for each.
    """
    from tflite_micro import runtime

    kinds = runtime.InterpreterConfig
    kind = kinds.kPreserveAllTensors if wanted else kinds.kAllocationRecording
    arena = max(_FIRST_ARENA, 16 * len(model))
    while True:
        try:
            first = runtime.Interpreter.from_bytes(model, arena_size=arena, intrepreter_config=kind)
            break
        except RuntimeError:
            # A model that it refuses and an arena too small end in the same message.
            if arena >= _LARGEST_ARENA:
                raise
            arena *= 4
    file = runtime.schema_fb.Model.GetRootAsModel(model, 0)
    main_graph = file.Subgraphs(0)
    # A reset makes resource variables zero; their initial values come with a new interpreter only.
    new = file.SubgraphsLength() > 1 and not stream
    unused = [first]

    def once(sample: list[Array]) -> list[Array]:
        interpreter = first
        if new:
            interpreter = (
                unused.pop()
                if unused
                else runtime.Interpreter.from_bytes(
                    model, arena_size=arena, intrepreter_config=kind
                )
            )
        for i, array in enumerate(sample):
            interpreter.set_input(array, i)
        interpreter.invoke()
        if wanted:
            found = [interpreter.GetTensor(i, 0)["tensor_data"].copy() for i in wanted]
        else:
            found = [interpreter.get_output(i).copy() for i in range(main_graph.OutputsLength())]
        if not (stream or new):
            interpreter.reset()
        return found

    shapes = [tuple(first.get_input_details(i)["shape"]) for i in range(main_graph.InputsLength())]
    return _collect(once, inputs, shapes)


def run_litert(
    model: bytes, inputs: list[Array], wanted: list[int], name: str, stream: bool
) -> list[Array]:
    """Run samples through LiteRT: its reference kernels, or XNNPACK (its default).

    Args:
        model: A `.tflite` file.
        inputs: One array (n, ...) for each input.
        wanted: Numbers of the tensors to return; outputs when there are none.
        name: "litert_ref" or "litert_xnnpack".
        stream: Whether the samples are consecutive steps, between which nothing is reset.

    Returns:
        One array (n, ...) for each.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_REF if name == "litert_ref" else OpResolverType.AUTO

    def load() -> Any:
        made = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=kind,
            experimental_preserve_all_tensors=bool(wanted),
        )
        made.allocate_tensors()
        return made

    interpreter = load()
    details = interpreter.get_input_details()
    outputs = [output["index"] for output in interpreter.get_output_details()]
    # Resource variables last as long as the interpreter.
    new = not stream and any(op["op_name"] == "VAR_HANDLE" for op in _operators(interpreter))

    def once(sample: list[Array]) -> list[Array]:
        nonlocal interpreter
        if new:
            interpreter = load()
        for detail, array in zip(details, sample, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        found = [interpreter.get_tensor(i) for i in wanted or outputs]
        if not stream:
            interpreter.reset_all_variables()
        return found

    return _collect(once, inputs, [tuple(detail["shape"]) for detail in details])


def _operators(interpreter: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = interpreter._get_ops_details()
    return found


def _collect(
    once: Callable[[list[Array]], list[Array]],
    inputs: list[Array],
    shapes: list[tuple[int, ...]],
) -> list[Array]:
    """Run sample by sample and join the results along their first axis."""
    if len(inputs) != len(shapes):
        raise ValueError(f"{len(inputs)} arrays for {len(shapes)} inputs")
    rows = [max(1, shape[0]) if shape else 1 for shape in shapes]
    count = min((len(a) // r for a, r in zip(inputs, rows, strict=True)), default=1)
    results = []
    for n in range(count):
        sample = [
            a[n * r : n * r + r] if shape else a[n]
            for a, r, shape in zip(inputs, rows, shapes, strict=True)
        ]
        results.append(once(sample))
    columns = zip(*results, strict=True)
    return [np.concatenate([np.atleast_1d(a) for a in column]) for column in columns]


# What a runtime is called: the function that runs it, its package.
RUNTIMES: dict[str, tuple[Callable[..., list[Array]], str]] = {
    "tflm": (run_tflm, "tflite-micro"),
    "litert_ref": (run_litert, "ai-edge-litert"),
    "litert_xnnpack": (run_litert, "ai-edge-litert"),
}


def answer(meta: dict[str, Any], arrays: list[Array]) -> tuple[dict[str, Any], list[Array]]:
    """Do what one message asks.

    Args:
        meta: `runtime`, `wanted`: numbers of the intermediate tensors to return, and `stream`:
            whether the inputs are consecutive steps.
        arrays: The model's bytes, then the inputs.

    Returns:
        `seconds` of the run and `version` of the runtime, then outputs and tensors; or, when the
        runtime has thrown, `refused`: its words.
    """
    run, package = RUNTIMES[meta["runtime"]]
    model, inputs = arrays[0].tobytes(), arrays[1:]
    try:
        start = time.perf_counter()
        outputs = run(model, inputs, [], meta["runtime"], meta["stream"])
        seconds = time.perf_counter() - start
        # Keeping every tensor changes how a runtime plans and fuses: that is a run of its own.
        wanted = meta["wanted"]
        tensors = []
        if wanted:
            tensors = run(model, inputs, wanted, meta["runtime"], meta["stream"])
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}, []
    facts = {"seconds": seconds, "version": version(package), "outputs": len(outputs)}
    return facts, [*outputs, *tensors]


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the caller's time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer messages from standard input until it ends."""
    _limit(int(sys.argv[1]))
    # Runtimes print as they please; only frames may go out on what was standard output.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (message := read_frame(sys.stdin.buffer)) is not None:
        write_frame(out, *answer(*message))


if __name__ == "__main__":
    main()
