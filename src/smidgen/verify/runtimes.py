"""Foreign runtimes: TensorFlow Lite Micro and LiteRT, each in a process of its own.

They are other people's engines, and some models make them abort. In a process of its own a runtime
can crash, hang or eat memory, and what comes of it is a typed error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import numpy as np

from smidgen.errors import (
    DataError,
    RuntimeCrashedError,
    RuntimeRefusedError,
    RuntimeTimeoutError,
    SmidgenError,
    ToolMissingError,
)
from smidgen.verify.frames import read_frame, write_frame

Array = np.ndarray[Any, Any]
RuntimeName = Literal["tflm", "litert_ref", "litert_xnnpack"]

TITLES: dict[RuntimeName, str] = {
    "tflm": "TensorFlow Lite Micro",
    "litert_ref": "LiteRT BUILTIN_REF",
    "litert_xnnpack": "LiteRT XNNPACK",
}
_PACKAGES: dict[RuntimeName, tuple[str, str]] = {  # what is imported, what is installed
    "tflm": ("tflite_micro", "tflite-micro"),
    "litert_ref": ("ai_edge_litert", "ai-edge-litert"),
    "litert_xnnpack": ("ai_edge_litert", "ai-edge-litert"),
}
_OUTPUT_TAIL = 2000
TIMEOUT = 60.0
"""Seconds that a model may take, all samples together."""
MEMORY = 4 << 30
"""Address space of a worker, in bytes."""


@dataclass(frozen=True, eq=False)
class RuntimeResult:
    """What a foreign runtime made of a model.

    Args:
        outputs: One array (n, ...) for each output.
        tensors: Intermediate tensors (n, ...) by their number in the file, or None.
        version: Of the runtime's package.
        seconds: Loading the model and running all samples.
    """

    outputs: list[Array]
    tensors: dict[int, Array] | None
    version: str
    seconds: float


class RuntimePool:
    """Runs model after model, in one long-lived process for each package.

    A process that crashes or hangs is replaced when the next model comes. Not for several threads.

    Args:
        timeout: Seconds that a model may take.
        memory: Address space of each process, in bytes, where the system can limit it.

    Example:
        >>> with RuntimePool() as pool:
        ...     outputs = pool.run("tflm", Path("model.tflite").read_bytes(), inputs).outputs
        >>> outputs[0].shape
        (8, 10)
    """

    def __init__(self, *, timeout: float = TIMEOUT, memory: int = MEMORY) -> None:
        self.timeout = timeout
        self.memory = memory
        self._workers: dict[str, _Worker] = {}

    def __enter__(self) -> RuntimePool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        while self._workers:
            self._workers.popitem()[1].close()

    def run(
        self,
        runtime: RuntimeName,
        model: bytes,
        inputs: Sequence[Array],
        *,
        intermediates: bool = False,
        stream: bool = False,
        timeout: float | None = None,
    ) -> RuntimeResult:
        """Run n samples of one model.

        Args:
            runtime: "tflm", "litert_ref" or "litert_xnnpack".
            model: A `.tflite` file.
            inputs: One array (n, ...) for each input, in the model's dtypes.
            intermediates: Also return every tensor that is computed. It is a second run, which
                keeps all tensors; the outputs are those of the ordinary one.
            stream: The samples are consecutive steps: what the model remembers is kept from each
                to the next. Otherwise every sample finds it as it is at first.
            timeout: Seconds; the pool's own otherwise.

        Returns:
            Outputs, tensors and the runtime's version.

        Raises:
            ToolMissingError: The runtime is not installed.
            RuntimeRefusedError: The runtime does not accept the model or the inputs.
            RuntimeCrashedError: The runtime took its process down.
            RuntimeTimeoutError: It did not finish in time.
        """
        if runtime not in TITLES:
            raise SmidgenError(
                f"runtime {runtime!r}", hint=f"use one of {', '.join(get_args(RuntimeName))}"
            )
        module, package = _PACKAGES[runtime]
        if importlib.util.find_spec(module) is None:
            raise ToolMissingError(package, extra="verify", purpose=f"running {TITLES[runtime]}")
        wanted = computed_tensors(model) if intermediates else []
        arrays = [np.frombuffer(model, np.uint8), *map(_plain, inputs)]
        worker = self._workers.get(module)
        if worker is None:
            worker = self._workers[module] = _Worker(self.memory)
        try:
            meta, found = worker.ask(
                {"runtime": runtime, "wanted": wanted, "stream": stream},
                arrays,
                timeout or self.timeout,
            )
        except SmidgenError as error:
            self._workers.pop(module).close()
            error.where = TITLES[runtime]
            raise
        if "refused" in meta:
            printed = worker.printed()
            said = ". ".join(filter(None, [meta["refused"], _last_line(printed)]))
            raise RuntimeRefusedError(
                f"does not run this model ({_one_line(said)})",
                where=TITLES[runtime],
                output=printed,
            )
        outputs, rest = found[: meta["outputs"]], found[meta["outputs"] :]
        tensors = dict(zip(wanted, rest, strict=True)) if intermediates else None
        return RuntimeResult(outputs, tensors, meta["version"], meta["seconds"])


def run_tflite(
    runtime: RuntimeName,
    model: bytes,
    inputs: Sequence[Array],
    *,
    intermediates: bool = False,
    stream: bool = False,
    timeout: float = TIMEOUT,
) -> RuntimeResult:
    """Run n samples of one model in a process that is started for it; see `RuntimePool.run`.

    Example:
        >>> run_tflite("litert_ref", Path("model.tflite").read_bytes(), inputs).outputs[0].shape
        (8, 10)
    """
    with RuntimePool(timeout=timeout) as pool:
        return pool.run(runtime, model, inputs, intermediates=intermediates, stream=stream)


def computed_tensors(model: bytes) -> list[int]:
    """Return the numbers of the tensors that the operators of a `.tflite` file compute, in order.

    Operators that only read or keep what the model remembers are left out.

    Raises:
        ModelFileError: The file is damaged.
    """
    from smidgen.schema import decode
    from smidgen.schema.operators import RESOURCE_OPERATORS, operator_name

    file = decode(model)
    subgraphs, codes = file["subgraphs"] or [{}], file["operator_codes"] or []
    outputs = [
        op["outputs"]
        for i, op in enumerate(subgraphs[0].get("operators") or [])
        if operator_name(codes, i, op) not in RESOURCE_OPERATORS
    ]
    return [int(i) for numbers in outputs if numbers is not None for i in numbers]


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, memory: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smidgen.verify.worker", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
        )

    def ask(
        self, meta: dict[str, Any], arrays: list[Array], timeout: float
    ) -> tuple[dict[str, Any], list[Array]]:
        """Send a message and wait for its answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # Both ends share one position in the file: start it anew for each message.
        self._stderr.seek(0)
        self._stderr.truncate()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            write_frame(process.stdin, meta, arrays)
            message = read_frame(process.stdout)
        except BrokenPipeError:
            message = None
        finally:
            timer.cancel()
        if message is not None:
            return message
        status = process.wait()
        printed = self.printed()
        if late.is_set():
            raise RuntimeTimeoutError(
                f"took over {timeout:g} seconds",
                hint="give it longer, or fewer samples",
                output=printed,
            )
        said = ": ".join(filter(None, [_manner(status), _one_line(_last_line(printed))]))
        raise RuntimeCrashedError(
            f"crashed on this model ({said})",
            hint="it is the runtime that fails; other runtimes may run the model",
            output=printed,
        )

    def printed(self) -> str:
        """Return the end of what the runtime has printed since the last message."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-_OUTPUT_TAIL:]

    def close(self) -> None:
        """End the process and let go of the pipes."""
        process = self._process
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, self._stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):  # what was left to send has no reader
                stream.close()


def _plain(array: Array) -> Array:
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        raise DataError(f"an array of {array.dtype} cannot be an input")
    return array


def _manner(status: int) -> str:
    try:
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"
    except ValueError:
        return f"signal {-status}"


def _last_line(printed: str) -> str:
    lines = [line for line in printed.splitlines() if line.strip()]
    return lines[-1] if lines and not lines[-1].startswith("INFO:") else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
