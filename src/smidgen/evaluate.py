"""Run a graph on many samples, and measure what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.data import Dataset, accuracy, arrange, decode, is_one_hot, to_inputs
from smidgen.errors import DataError, ToolMissingError, UnsupportedModelError
from smidgen.facts import describe
from smidgen.interpreter import Session, batches, check_inputs, interpret
from smidgen.ir import Graph

Array = np.ndarray[Any, Any]

# Below this many samples compiling costs more than it saves.
_WORTH_COMPILING = 16
# Multiply-accumulates that make up for a compiler's best effort.
_MUCH = 2e9


def run(graph: Graph, inputs: Array | Sequence[Array], *, stream: bool = False) -> list[Array]:
    """Run n samples through any graph on this machine; int8 graphs bit-exactly.

    Compiled C does the work of integer graphs where there is a compiler and enough samples to be
    worth it. Otherwise the reference interpreter does: in float its matrix products are faster
    than C that must keep the order of every sum.

    Args:
        graph: float or int8.
        inputs: one array (n, ...), or one for each input, in the inputs' dtypes.
        stream: whether the samples are consecutive steps of a model with states, which are carried
            from each to the next. Otherwise each sample finds the states as they are at first.

    Returns:
        One array (n, ...) for each output.

    Raises:
        DataError: if the arrays do not fit.

    Example:
        >>> (scores,) = run(int8, inputs)
        >>> scores.shape, scores.dtype.name
        ((8, 10), 'int8')
    """
    arrays = check_inputs(graph, inputs)
    count = len(arrays[0]) if arrays else 1
    if graph.is_quantized and count >= _WORTH_COMPILING:
        from smidgen.backends.c.host import FAST, QUICK, HostModel

        work = describe(graph).macs * count
        try:
            return HostModel(graph, flags=FAST if work > _MUCH else QUICK).run(
                arrays, stream=stream
            )
        except (ToolMissingError, UnsupportedModelError):
            pass  # no compiler, or an operator without a C kernel: the interpreter always works
    if stream and graph.states:
        return Session(graph).run(arrays)
    parts = [interpret(graph, [a[rows] for a in arrays]) for rows in batches(graph, count)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


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

    @property
    def shown(self) -> str:
        """The value as people read it: "87.19%" or "0.0123"."""
        return f"{self.value:.2%}" if self.metric == "accuracy" else f"{self.value:.4g}"

    def __str__(self) -> str:
        return f"{self.metric} {self.shown} on {self.samples:,} samples"


def evaluate(graph: Graph, data: Dataset) -> Score:
    """Measure a graph on the test samples of a dataset.

    Class labels give accuracy. Targets of the output's shape give the mean squared error; a model
    whose output has its input's shape is compared with its input where there are no labels.

    Args:
        graph: float or int8; what is measured is its first output.
        data: with `x_test`, and `y_test` but for autoencoders.

    Returns:
        The score on all test samples.

    Raises:
        DataError: if there is nothing to measure on.

    Example:
        >>> print(evaluate(int8, data))
        accuracy ...% on 360 samples
    """
    if data.x_test is None:
        raise DataError(
            "no test samples", where="x_test", hint="add x_test and y_test to the data file"
        )
    outputs = real_outputs(graph, data.test_inputs)
    labels = data.y_test
    if labels is not None and labels.ndim > 2 and graph.outputs[0] in graph.channels_first:
        moved = np.moveaxis(labels, 1, -1)
        labels = moved if moved.shape == outputs.shape else labels
    if labels is None:
        if data.x_test[0].size != outputs[0].size:
            raise DataError(
                "no labels for the test samples", where="y_test", hint="add y_test to the data"
            )
        labels = arrange(graph, data.x_test)
    elif _are_classes(labels, outputs):
        return Score("accuracy", accuracy(outputs, labels), len(outputs))
    if labels[0].size != outputs[0].size:
        raise DataError(
            f"targets of shape {labels.shape} for outputs of shape {outputs.shape}",
            where="y_test",
            hint="give class indices (n,), or targets shaped like the output",
        )
    difference = outputs.reshape(len(outputs), -1) - labels.reshape(len(labels), -1)
    error = float(np.mean(np.square(difference, dtype=np.float64)))
    return Score("mean squared error", error, len(outputs))


def real_outputs(graph: Graph, samples: Array | Sequence[Array]) -> Array:
    """First output (n, ...) as real numbers, for samples as the source model takes them.

    Args:
        graph: float or int8.
        samples: one array (n, ...), or one for each input.
    """
    arrays = [samples] if isinstance(samples, np.ndarray) else samples
    return decode(graph.output_types[0], run(graph, to_inputs(graph, arrays))[0])


def _are_classes(labels: Array, outputs: Array) -> bool:
    """Whether labels name classes; otherwise they are targets that the outputs should equal."""
    classes = outputs.shape[-1]
    if labels.size == outputs.size:
        return is_one_hot(labels, classes) if classes > 1 else labels.dtype.kind in "iub"
    return bool(labels.size * classes == outputs.size)
