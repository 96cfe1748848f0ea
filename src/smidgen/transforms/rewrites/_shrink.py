"""The two ways to use the rewrites: prepare a float graph, or shrink anybody's int8 model."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.errors import VerificationError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, TensorType, numpy_dtype
from smidgen.transforms.rewrites._rewrite import Report, Rewrite, apply, count_macs, first_bad

Array = np.ndarray[Any, Any]

# The proof runs as many samples as this many multiply-accumulates allow, within these limits.
MACS = 1_000_000_000
SAMPLES = (4, 64)


def shrink_with(
    graph: Graph, rewrites: tuple[Rewrite, ...], *, samples: int | None = None, seed: int = 0
) -> tuple[Graph, Report]:
    """Apply the exact ones of some rewrites, and prove on random inputs that nothing changed.

    Args:
        graph: any graph.
        rewrites: the rules.
        samples: how many inputs to prove it on; by default what a second or two allow.
        seed: of the inputs.

    Returns:
        The smaller graph and a report of what was done.

    Raises:
        VerificationError: if an output differs, naming the first change after which it does.
    """
    exact = [rewrite for rewrite in rewrites if rewrite.exact]
    small, report = apply(graph, exact)
    if samples is None:
        samples = min(max(MACS // max(count_macs(graph), 1), SAMPLES[0]), SAMPLES[1])
    inputs = random_inputs(graph, samples, seed)
    want = interpret(graph, inputs)

    def same(other: Graph) -> bool:
        got = interpret(other, inputs)
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(want, got, strict=True))

    if report.changes and not same(small):
        change = first_bad(graph, exact, same)
        raise VerificationError(
            "the outputs differ after a rewrite that is meant to be exact", where=str(change)
        )
    return small, report


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[Array]:
    """Inputs that reach far: extremes, noise, noise of extremes only, and flat ones.

    Args:
        graph: any graph.
        count: number of samples.
        seed: of the generator.

    Returns:
        One array (count, ...) for each input of the graph, in its dtype.
    """
    rng = np.random.default_rng(seed)
    return [np.stack([_draw(rng, t, i)[0] for i in range(count)]) for t in graph.input_types]


def _draw(rng: np.random.Generator, type: TensorType, index: int) -> Array:
    dtype = numpy_dtype(type.dtype)
    if dtype.kind == "f":
        return rng.normal(0, 3.0 ** (index % 4 - 1), type.shape).astype(dtype)
    low, high = 0, 1  # of an index or a truth value
    if type.quant is not None:
        info = np.iinfo(str(dtype))
        low, high = int(info.min), int(info.max)
    if index < 2:
        return np.full(type.shape, (low, high)[index], dtype)
    if index % 3 == 0:
        return rng.choice((low, high), type.shape).astype(dtype)
    if index % 3 == 1:
        level = rng.integers(low, high, endpoint=True) + rng.normal(0, 8, type.shape)
        return np.clip(np.round(level), low, high).astype(dtype)
    return rng.integers(low, high, type.shape, endpoint=True).astype(dtype)
