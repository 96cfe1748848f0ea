"""One model, many runtimes, the same inputs: who agrees, and the first tensor that differs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import (
    ForeignRuntimeError,
    SmidgenError,
    ToolMissingError,
    UnsupportedModelError,
)
from smidgen.ir import Graph
from smidgen.verify.engines import RUNTIMES, Engine, Subject, open_engines
from smidgen.verify.verification import ORACLE, Row, Verification

if TYPE_CHECKING:
    from smidgen.backends.c.firmware import Firmware
    from smidgen.targets.board import Board

__all__ = ["ORACLE", "RUNTIMES", "Row", "Verification", "verify"]

Array = np.ndarray[Any, Any]

# Float runtimes add in different orders: what they may differ by, relative to a tensor's largest
# magnitude. Integer tensors may not differ at all.
FLOAT_TOLERANCE = 1e-4
EMULATOR_SAMPLES = 8


def verify(
    model: Graph | bytes | str | os.PathLike[str],
    inputs: Array | Sequence[Array],
    *,
    runtimes: Sequence[str] | None = None,
    board: str | Board | None = None,
    firmware: Firmware | None = None,
    tflite: bytes | None = None,
    stream: bool | None = None,
    emulator_samples: int = EMULATOR_SAMPLES,
) -> Verification:
    """Run one model on many runtimes and compare every one with the integer reference.

    Outputs are compared for all samples, and every tensor in between for one: the first whose
    outputs differ, else the first.

    Args:
        model: A graph, or a `.tflite` file or its bytes; foreign runtimes then run that very file.
        inputs: One array (n, ...), or one for each model input, in the inputs' dtypes.
        runtimes: Some of "host", "emulator", "qemu", "tflm", "litert_ref" and "litert_xnnpack";
            all but QEMU by default.
        board: What to compile for when the emulator runs.
        firmware: The model compiled already; `board` is not needed then.
        tflite: The model written already: the very file that foreign runtimes run.
        stream: Whether the samples are consecutive steps, over which each runtime carries what the
            model remembers; by default if it remembers anything. Otherwise all reset it before
            every sample.
        emulator_samples: The most samples that an emulator runs.

    Returns:
        One row for each runtime; one that cannot run says why. `ok` is the verdict.

    Raises:
        DataError: The inputs do not fit the model.
        UnsupportedModelError: The reference itself cannot compute the model.

    Example:
        >>> check = verify(int8, inputs)
        >>> check.ok, check.rows[1].status
        (True, 'exact')
    """
    from smidgen.interpreter import check_inputs

    names = list(RUNTIMES if runtimes is None else dict.fromkeys(runtimes))
    unknown = set(names) - {*RUNTIMES, "qemu"}
    if unknown:
        raise SmidgenError(
            f"no runtime is called {', '.join(sorted(unknown))}",
            hint=f"use some of {', '.join(RUNTIMES)}, qemu",
        )
    graph, file = _graph(model)
    file = tflite or file
    arrays = [np.ascontiguousarray(a) for a in check_inputs(graph, inputs)]
    stream = bool(graph.states) if stream is None else stream
    reference = _Reference(graph, arrays, stream)

    @cache
    def written() -> bytes:
        from smidgen.backends.tflite.writer import write

        return write(graph) if file is None else file

    @cache
    def compiled() -> Firmware:
        from smidgen.backends.c.compile import DEFAULT_BOARD
        from smidgen.backends.c.compile import compile as compile_firmware

        return firmware or compile_firmware(graph, board or DEFAULT_BOARD)

    subject = Subject(graph, written, compiled, stream)
    with open_engines(subject, names, emulator_samples) as engines:
        rows = [reference.compare(engine, name) for name, engine in engines.items()]
    return Verification(graph.name, reference.samples, (reference.row(), *rows))


def _graph(model: Graph | bytes | str | os.PathLike[str]) -> tuple[Graph, bytes | None]:
    if isinstance(model, Graph):
        return model, None
    from smidgen.frontends import tflite

    graph = tflite.read(model)
    return graph, model if isinstance(model, bytes) else Path(model).read_bytes()


class _Reference:
    """What the reference interpreter computes, and how others compare with it."""

    def __init__(self, graph: Graph, inputs: list[Array], stream: bool) -> None:
        from smidgen.interpreter import interpret

        self.graph = graph
        self.inputs = inputs
        self.stream = stream and bool(graph.states)
        self.samples = len(inputs[0]) if inputs else 1
        start = time.perf_counter()
        self.outputs = interpret(graph, inputs, stream=stream)
        self.seconds = time.perf_counter() - start
        self._tensors: dict[int, dict[str, Array]] = {}

    def tensors(self, sample: int) -> dict[str, Array]:
        """Return every tensor of one sample by name."""
        from smidgen.interpreter import interpret

        if sample not in self._tensors:
            seen: dict[str, Array] = {}
            given = self.up_to(sample)
            interpret(self.graph, given, observe=seen.__setitem__, stream=self.stream)
            count = len(given[0]) if given else 1
            self._tensors[sample] = {n: t[-(len(t) // count) :] for n, t in seen.items()}
        return self._tensors[sample]

    def up_to(self, number: int) -> list[Array]:
        """Return the inputs of one sample, or of all steps up to it."""
        return [a[0 if self.stream else number : number + 1] for a in self.inputs]

    def row(self) -> Row:
        """Return the reference's own row."""
        from smidgen import __version__

        return Row(
            "int_ref",
            "reference",
            must_agree=False,
            samples=self.samples,
            seconds=self.seconds,
            version=f"smidgen {__version__}",
        )

    def compare(self, engine: Engine, name: str) -> Row:
        """Run an engine and compare its outputs and tensors."""
        count = min(self.samples, engine.limit or self.samples)
        must_agree = engine.ours or name == "tflm"
        start = time.perf_counter()
        try:
            outputs = engine.run([a[:count] for a in self.inputs])
            seconds = time.perf_counter() - start
            differences, chosen = self._outputs(outputs, count)
            tensors = engine.trace(self.up_to(chosen))
        except (ToolMissingError, UnsupportedModelError, ForeignRuntimeError) as error:
            return Row(engine.title, "not run", must_agree, reason=str(error))
        except SmidgenError as error:
            outcome = "failed" if engine.ours else "not run"
            return Row(engine.title, outcome, must_agree, reason=str(error))
        divergent = self._first_divergent(tensors, chosen)
        agrees = divergent is None and all(within for _, within in differences)
        node = self.graph.producers.get(divergent) if divergent is not None else None
        return Row(
            engine.title,
            "agrees" if agrees else "differs",
            must_agree,
            max_difference=max((size for size, _ in differences), default=0.0),
            unit="" if any(t.dtype == "float32" for t in self.graph.output_types) else "LSB",
            first_divergent=divergent,
            divergent_layer=None if node is None else node.label,
            tensors=len(tensors),
            samples=count,
            seconds=seconds,
            version=engine.version,
        )

    def _outputs(
        self, outputs: Sequence[Array], count: int
    ) -> tuple[list[tuple[float, bool]], int]:
        """Return how each output compares, and the first sample that differs, else the first."""
        found, chosen = [], count
        for ours, theirs in zip(self.outputs, outputs, strict=True):
            rows = len(ours) // self.samples
            expected = ours[: rows * count]
            size, within = difference(expected, theirs)
            found.append((size, within))
            if not within and expected.shape == theirs.shape:
                unequal = (expected != theirs).reshape(count, -1).any(axis=1)
                chosen = min(chosen, int(unequal.argmax()))
        return found, chosen if chosen < count else 0

    def _first_divergent(self, tensors: dict[str, Array], sample: int) -> str | None:
        """Return the first tensor in execution order that differs, if any does."""
        expected = self.tensors(sample)
        for node in self.graph.nodes:
            for name in node.outputs:
                if name in tensors and not difference(expected[name], tensors[name])[1]:
                    return name
        return None


def difference(expected: Array, found: Array) -> tuple[float, bool]:
    """Compare two tensors.

    Args:
        expected: The reference's.
        found: Another runtime's.

    Returns:
        The largest absolute difference (infinite when the shapes, dtypes or NaNs differ), and
        whether it is allowed: 0 for integers, rounding noise for floats.

    Example:
        >>> difference(np.array([1, 5], np.int8), np.array([1, 7], np.int8))
        (2.0, False)
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return float("inf"), False
    if not expected.size:
        return 0.0, True
    if expected.dtype.kind != "f":
        size = float(np.abs(expected.astype(np.int64) - found.astype(np.int64)).max())
        return size, size == 0
    odd = ~(np.isfinite(expected) & np.isfinite(found))
    if not np.array_equal(expected[odd], found[odd], equal_nan=True):
        return float("inf"), False
    gaps = np.abs(expected[~odd].astype(np.float64) - found[~odd])
    size = float(gaps.max(initial=0.0))
    scale = float(np.abs(expected[~odd]).max(initial=0.0))
    return size, size <= FLOAT_TOLERANCE * scale
