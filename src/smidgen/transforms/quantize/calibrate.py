"""Run calibration samples through the float graph and find the range of every activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.transforms.quantize.observers import BINS, OBSERVE, Range

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]

# Elements of the largest activation that are held at once.
_BATCH_ELEMENTS = 4_000_000


def calibrate(
    graph: Graph,
    samples: list[Array],
    observers: Mapping[str, str],
    *,
    progress: Progress | None = None,
) -> dict[str, Range]:
    """The range (low, high) of each float activation; it always holds 0.

    Args:
        graph: a float graph.
        samples: one array (n, ...) for each input.
        observers: which observer each value wants, by value name; "min-max" where not given.
        progress: called with (samples done, samples to do) as it goes.

    Returns:
        Ranges by value name.

    Raises:
        DataError: if the samples do not fit the graph.
    """
    ranges: dict[str, Range] = {}
    wanting = {n: o for n, o in observers.items() if o != "min-max"}
    passes = 2 if wanting else 1
    total = len(samples[0]) * passes

    def widen(name: str, array: Array) -> None:
        if array.dtype != np.float32:
            return
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = (min(low, float(array.min())), max(high, float(array.max())))

    done = _passes(graph, samples, widen, 0, total, progress)
    if wanting:
        histograms = {n: np.zeros(BINS, np.int64) for n in wanting if n in ranges}

        def count(name: str, array: Array) -> None:
            if name in histograms:
                histograms[name] += np.histogram(array, BINS, ranges[name])[0]

        _passes(graph, samples, count, done, total, progress)
        for name, histogram in histograms.items():
            low, high = ranges[name]
            if high > low:
                low, high = OBSERVE[wanting[name]](histogram, low, high)
                ranges[name] = (min(low, 0.0), max(high, 0.0))
    return ranges


def batches(graph: Graph, count: int) -> list[slice]:
    """Slices of `count` samples that keep the activations of one batch within bounds."""
    largest = max((v.type.size for v in graph.values.values() if not v.is_constant), default=1)
    size = max(1, min(256, _BATCH_ELEMENTS // max(1, largest)))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]


def _passes(
    graph: Graph,
    samples: list[Array],
    observe: Callable[[str, Array], None],
    done: int,
    total: int,
    progress: Progress | None,
) -> int:
    for rows in batches(graph, len(samples[0])):
        interpret(graph, [s[rows] for s in samples], observe=observe)
        done += rows.stop - rows.start
        if progress is not None:
            progress(done, total)
    return done
