"""Run a graph on many samples, and measure what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.data import Dataset, accuracy, to_model
from smidgen.errors import DataError, ToolMissingError, UnsupportedModelError
from smidgen.facts import describe
from smidgen.interpreter import check_inputs, interpret
from smidgen.ir import Graph
from smidgen.numerics.affine import dequantize

Array = np.ndarray[Any, Any]

# Below this many samples compiling costs more than it saves.
_WORTH_COMPILING = 16
# Multiply-accumulates that make up for a compiler's best effort.
_MUCH = 2e9


def run(graph: Graph, inputs: Array | Sequence[Array]) -> list[Array]:
    """Run n samples through any graph on this machine; int8 graphs bit-exactly.

    Compiled C does the work where there is a compiler and enough samples to be worth it; the
    reference interpreter otherwise.

    Args:
        graph: float or int8.
        inputs: one array (n, ...), or one for each input, in the inputs' dtypes.

    Returns:
        One array (n, ...) for each output.

    Raises:
        DataError: if the arrays do not fit.

    Example:
        >>> scores, = run(int8, images)                       # doctest: +SKIP
    """
    arrays = check_inputs(graph, inputs)
    if len(arrays[0]) >= _WORTH_COMPILING and graph.is_quantized:
        from smidgen.backends.c.host import FAST, QUICK, HostModel

        work = describe(graph).macs * len(arrays[0])
        try:
            return HostModel(graph, flags=FAST if work > _MUCH else QUICK).run(arrays)
        except (ToolMissingError, UnsupportedModelError):
            pass  # no compiler, or an operator without a C kernel: the interpreter always works
    slices = _slices(graph, len(arrays[0]))
    parts = [interpret(graph, [a[s] for a in arrays]) for s in slices]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _slices(graph: Graph, count: int) -> list[slice]:
    largest = max((v.type.size for v in graph.values.values() if not v.is_constant), default=1)
    size = max(1, min(512, 8_000_000 // max(1, largest)))
    return [slice(i, i + size) for i in range(0, count, size)]


@dataclass(frozen=True)
class Score:
    """What a model achieves on test samples.

    Args:
        metric: "accuracy" (higher is better) or "mean squared error" (lower is better).
        value: of the metric.
        samples: how many were measured.
    """

    metric: str
    value: float
    samples: int

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better."""
        return self.metric == "accuracy"

    def __str__(self) -> str:
        text = f"{self.value:.2%}" if self.metric == "accuracy" else f"{self.value:.4g}"
        return f"{self.metric} {text} on {self.samples:,} samples"


def evaluate(graph: Graph, data: Dataset) -> Score:
    """Measure a graph on the test samples of a dataset.

    Class labels give accuracy. Targets of the output's shape give the mean squared error; a model
    whose output has its input's shape is compared with its input where there are no labels.

    Args:
        graph: float or int8, one input and one output.
        data: with `x_test`, and `y_test` but for autoencoders.

    Returns:
        The score on all test samples.

    Raises:
        DataError: if there is nothing to measure on.
    """
    if data.x_test is None:
        raise DataError(
            "no test samples", where="x_test", hint="add x_test and y_test to the data file"
        )
    outputs = real_outputs(graph, data.x_test)
    labels = data.y_test
    size = outputs[0].size
    if labels is None:
        if data.x_test[0].size != size:
            raise DataError(
                "no labels for the test samples", where="y_test", hint="add y_test to the data"
            )
        labels = data.x_test
    if labels[0].size == size and ((size > 1 and not _one_hot(labels)) or labels.dtype.kind == "f"):
        difference = outputs.reshape(len(outputs), -1) - labels.reshape(len(labels), -1)
        error = float(np.mean(np.square(difference, dtype=np.float64)))
        return Score("mean squared error", error, len(outputs))
    return Score("accuracy", accuracy(outputs, labels), len(outputs))


def real_outputs(graph: Graph, samples: Array) -> Array:
    """First output (n, ...) as real numbers, for samples as the source model takes them."""
    output = run(graph, to_model(graph, samples))[0]
    quant = graph.output_types[0].quant
    return output if quant is None else dequantize(output, quant.scale, quant.zero_point)


def _one_hot(labels: Array) -> bool:
    flat = labels.reshape(len(labels), -1)
    return bool(np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all())
