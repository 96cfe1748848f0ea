"""What running firmware gives: outputs, and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, numpy_dtype

if TYPE_CHECKING:
    from smidgen.targets.emulators import EmulatorRun

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class StepRun:
    """One layer of an emulated inference.

    Args:
        layer: its label.
        value: name of the tensor it computed.
        instructions: exact.
        cycles: estimated.
        macs: multiply-accumulates.
        tensor: what it computed.
    """

    layer: str
    value: str
    instructions: int
    cycles: int | None
    macs: int
    tensor: Array

    @property
    def cycles_per_mac(self) -> float | None:
        """Estimated cycles for each multiply-accumulate; None where there are none."""
        return self.cycles / self.macs if self.macs and self.cycles is not None else None


@dataclass(frozen=True)
class Run:
    """What running a model gave.

    Args:
        outputs: one array (n, ...) for each output.
        on: "host" or the emulator that ran it.
        instructions: of one inference, exact (the last sample's); None on the host.
        cycles: of one inference, *estimated*; None on the host.
        stack_bytes: deepest stack of any inference; None on the host.
        steps: one for each layer of the last sample, if profiled.
        state: what the model remembers in the end, for another run to go on from; None if it
            remembers nothing, or the samples were run on the host one by one.
    """

    outputs: list[Array]
    on: str
    instructions: int | None = None
    cycles: int | None = None
    stack_bytes: int | None = None
    steps: tuple[StepRun, ...] = ()
    state: bytes | None = None


def outputs_of(graph: Graph, runs: Sequence[EmulatorRun]) -> list[Array]:
    """The outputs of emulated inferences: one array (n, ...) for each output of the graph."""
    outputs = []
    for i, type in enumerate(graph.output_types):
        raw = b"".join(r.outputs[i] for r in runs)
        array = np.frombuffer(raw, numpy_dtype(type.dtype))
        outputs.append(array.reshape(len(runs) * type.shape[0], *type.shape[1:]).copy())
    return outputs
