"""The runtimes a graph can be run on, each behind the same three questions.

An engine runs n samples, hands out every tensor of one sample, and says what version it is. Two
are ours (host C, the emulated chip) and three are foreign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph
from smidgen.verify.runtimes import TITLES, RuntimeName, RuntimePool, computed_tensors

if TYPE_CHECKING:
    from smidgen.backends.c.firmware import Firmware

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is to be run everywhere.

    Args:
        graph: The graph.
        tflite: The same graph as a `.tflite` file; called when a foreign runtime wants it.
        firmware: The same graph compiled for a board; called when the emulator wants it.
        stream: Whether samples are consecutive steps, over which the graph's states are carried.
    """

    graph: Graph
    tflite: Callable[[], bytes]
    firmware: Callable[[], Firmware]
    stream: bool = False


class HostEngine:
    """The generated C, compiled for this machine."""

    title = "host C"
    ours = True
    limit: int | None = None

    def __init__(self, subject: Subject) -> None:
        self._graph = subject.graph
        self._stream = subject.stream

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run all samples, several threads side by side."""
        from smidgen.backends.c.host import QUICK, HostModel

        return HostModel(self._graph, flags=QUICK).run(list(inputs), stream=self._stream)

    def trace(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Return every tensor that a kernel computes for the last sample, by name."""
        from smidgen.backends.c.host import QUICK, HostModel

        return HostModel(self._graph, flags=QUICK, trace=True).run_traced(
            list(inputs), stream=self._stream
        )

    @property
    def version(self) -> str:
        """The compiler."""
        from smidgen.targets.toolchain import host_compiler_version

        return host_compiler_version()


class EmulatedEngine:
    """The linked firmware in an emulated chip, by unicorn or QEMU."""

    ours = True

    def __init__(self, subject: Subject, on: str, limit: int) -> None:
        self._subject = subject
        self._on = on
        self.limit: int | None = limit
        self.version = on
        self.title = {"emulator": "emulated chip", "qemu": "emulated chip (QEMU)"}[on]

    @cached_property
    def _firmware(self) -> Firmware:
        firmware = self._subject.firmware()
        self.title = self.title.replace("chip", firmware.board.core)
        return firmware

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the samples one after the other."""
        run = self._firmware.run(list(inputs), on=self._on, stream=self._subject.stream)
        self.version = run.on
        return run.outputs

    def trace(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Return every tensor that a kernel computes for the last sample, as the chip held it."""
        if self._on != "emulator":
            return {}
        steps = self._firmware.profile(list(inputs), stream=self._subject.stream)
        return {step.value: step.tensor for step in steps}


class ForeignEngine:
    """TensorFlow Lite Micro or LiteRT on the `.tflite` file."""

    ours = False
    limit: int | None = None

    def __init__(self, subject: Subject, name: RuntimeName, pool: RuntimePool) -> None:
        self._subject = subject
        self._name: RuntimeName = name
        self._pool = pool
        self.title = TITLES[name]
        self.version = ""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run all samples, one after the other."""
        model, stream = self._subject.tflite(), self._subject.stream
        result = self._pool.run(self._name, model, inputs, stream=stream)
        self.version = result.version
        return result.outputs

    def trace(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Return what every operator of the file computes last, by the names in the graph."""
        model, stream = self._subject.tflite(), self._subject.stream
        result = self._pool.run(self._name, model, inputs, intermediates=True, stream=stream)
        assert result.tensors is not None
        # One operator of the file is one node of the graph, in the same order.
        names = [
            name
            for node in self._subject.graph.nodes
            for i, name in enumerate(node.outputs)
            if i not in node.op.states.values()  # type: ignore[attr-defined]
        ]
        numbers = computed_tensors(model)
        count = len(inputs[0]) if inputs else 1
        last = {i: t[-(len(t) // count) :] for i, t in result.tensors.items()}
        return {n: last[i] for n, i in zip(names, numbers, strict=True)}


Engine = HostEngine | EmulatedEngine | ForeignEngine

RUNTIMES = ("host", "emulator", "tflm", "litert_ref", "litert_xnnpack")
"""The runtimes a graph is verified on unless others are asked for; "qemu" may be added."""


@contextmanager
def open_engines(
    subject: Subject, names: Sequence[str], emulator_samples: int
) -> Iterator[dict[str, Engine]]:
    """Provide engines by their names, and end their processes afterwards.

    Args:
        subject: What they run.
        names: Of `RUNTIMES`, or "qemu".
        emulator_samples: The most samples that an emulator runs.

    Yields:
        The engines, in the order asked.
    """
    with RuntimePool() as pool:
        engines: dict[str, Engine] = {}
        for name in names:
            if name == "host":
                engines[name] = HostEngine(subject)
            elif name in ("emulator", "qemu"):
                engines[name] = EmulatedEngine(subject, name, emulator_samples)
            else:
                engines[name] = ForeignEngine(subject, _foreign(name), pool)
        yield engines


def _foreign(name: str) -> RuntimeName:
    for known in TITLES:
        if known == name:
            return known
    raise AssertionError(name)
