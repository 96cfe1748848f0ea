"""The two ways to use the rewrites: prepare a float graph, or shrink anybody's int8 model."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.errors import VerificationError
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph
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
    want = interpret(graph, inputs, stream=True)

    def same(other: Graph) -> bool:
        got = interpret(other, inputs, stream=True)
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(want, got, strict=True))

    if report.changes and not same(small):
        change = first_bad(graph, exact, same)
        raise VerificationError(
            "the outputs differ after a rewrite that is meant to be exact", where=str(change)
        )
    return small, report
