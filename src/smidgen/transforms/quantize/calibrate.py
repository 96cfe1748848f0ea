"""Run calibration samples through the float graph and find the range of every activation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import DataError
from smidgen.interpreter import batches, interpret
from smidgen.ir import Graph, Node
from smidgen.transforms.quantize.observers import OBSERVERS, Extremes, Range, start

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


def calibrate(
    graph: Graph,
    samples: list[Array],
    observers: Mapping[str, str] | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, Range]:
    """The range (low, high) of each float activation; it always holds 0.

    Samples pass once, batch by batch; only what the observers keep of them is held.

    Args:
        graph: a float graph.
        samples: one array (n, ...) for each input.
        observers: which observer each value wants, by value name; "min-max" where not given.
        progress: called with (samples done, samples to do) as it goes.

    Returns:
        Ranges by value name.

    Raises:
        DataError: if the samples do not fit the graph, or make an activation NaN or infinite.

    Example:
        >>> calibrate(model, [images], {"dense": "mse"})["re_lu"]
        (0.0, ...)
    """
    wanted = observers or {}
    seen: dict[str, Extremes] = {}

    steps = {n.outputs[0]: n for n in graph.nodes if has_inside(n)}
    operands = {name for node in steps.values() for name in node.inputs}
    held: dict[str, Array] = {}

    def observe(name: str, array: Array) -> None:
        if name in operands:
            held[name] = array
        if name in steps:
            node = steps[name]
            given = [None if n is None else held.get(n, graph.data(n)) for n in node.inputs]
            op: Op = node.op  # type: ignore[assignment]
            for output, inside in op.inside(*given).items():
                see(node.outputs[output], inside)
        see(name, array)

    def see(name: str, array: Array) -> None:
        if array.dtype != np.float32:
            return
        if name not in seen:
            seen[name] = start(wanted.get(name, "min-max"))
        try:
            seen[name].add(array)
        except ValueError as error:
            raise DataError(
                f"{error} with these samples",
                where=f"activation {name!r}",
                hint="give samples in the scale that the model was trained on",
            ) from error

    _pass(graph, samples, observe, progress)
    return {n: OBSERVERS[wanted.get(n, "min-max")](s) for n, s in seen.items()}


def has_inside(node: Node) -> bool:
    """Whether some output of a node is more than what it is in the end (see `Op.inside`)."""
    from smidgen.ops import Op

    return type(node.op).inside is not Op.inside  # type: ignore[attr-defined]


def means(graph: Graph, samples: list[Array], names: Collection[str]) -> dict[str, Array]:
    """The mean over all samples of some activations of a float graph.

    Args:
        graph: a float graph.
        samples: one array (n, ...) for each input.
        names: of the activations.

    Returns:
        For each name an array of the activation's shape (one sample's), float64.
    """
    sums: dict[str, Array] = {}

    def observe(name: str, array: Array) -> None:
        if name in names:
            samples_first = array.reshape(-1, *graph.type(name).shape)
            part = samples_first.sum(axis=0, dtype=np.float64)
            sums[name] = sums[name] + part if name in sums else part

    _pass(graph, samples, observe, None)
    return {name: total / len(samples[0]) for name, total in sums.items()}


def _pass(
    graph: Graph,
    samples: list[Array],
    observe: Callable[[str, Array], None],
    progress: Progress | None,
) -> None:
    total = len(samples[0])
    for rows in batches(graph, total):
        interpret(graph, [s[rows] for s in samples], observe=observe)
        if progress is not None:
            progress(rows.stop, total)
