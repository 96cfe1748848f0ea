"""Batch normalizations for networks that come without: a `.tflite` has folded them away."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset, arrange_all
from smidgen.ir import Graph
from smidgen.training.module import GraphModule
from smidgen.transforms.rewrites.restore_batch_norms import (
    bare_convolutions,
    restore_batch_norms,
)

Array = np.ndarray[Any, Any]

SAMPLES = 1024  # that moments are measured on
_BATCH = 128


def with_batch_norms(graph: Graph, data: Dataset) -> Graph:
    """The graph as it trains well: normalizations restored where folding took them away.

    Without them a network's training breaks down at learning rates that it once was trained
    with. What is restored computes what the graph did, with the moments of `data.x`, and
    is folded again when the graph is quantized or simplified.

    Args:
        graph: a float graph from any front end.
        data: training samples; labels are not read.

    Returns:
        The same graph if it has normalizations, or no convolutions with biases.

    Example:
        >>> with_batch_norms(model, data) is model  # it has its own
        True
    """
    apart, names = bare_convolutions(graph)
    if not names:
        return graph
    chosen = np.random.default_rng(0).permutation(len(data.x))[:SAMPLES]
    module = GraphModule(apart).eval()
    sums = {name: np.zeros((2, apart.type(name).shape[-1])) for name in names}
    counts = dict.fromkeys(names, 0)
    for first in range(0, len(chosen), _BATCH):
        some = chosen[first : first + _BATCH]
        inputs = arrange_all(apart, [array[some] for array in data.inputs])
        with torch.no_grad():
            found = module.values(map(torch.from_numpy, inputs), names)
        for name, value in found.items():
            rows = value.reshape(-1, value.shape[-1]).double()
            sums[name] += np.stack([rows.sum(0).numpy(), rows.square().sum(0).numpy()])
            counts[name] += len(rows)
    moments = {}
    for name, (total, squares) in sums.items():
        mean = total / counts[name]
        moments[name] = (mean, np.maximum(squares / counts[name] - mean**2, 0.0))
    return restore_batch_norms(apart, moments)
