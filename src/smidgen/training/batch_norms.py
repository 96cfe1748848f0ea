"""Batch normalizations for networks that come without: a `.tflite` has folded them away."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset, arrange, check_count
from smidgen.ir import Graph
from smidgen.training.augment import augmented, get_augment
from smidgen.training.module import GraphModule
from smidgen.training.settings import Training
from smidgen.transforms.rewrites.restore_batch_norms import (
    bare_convolutions,
    restore_batch_norms,
)

Array = np.ndarray[Any, Any]

SAMPLES = 1024  # that moments are measured on
_BATCH = 128


def with_batch_norms(graph: Graph, data: Dataset, training: Training | None = None) -> Graph:
    """The graph as it trains well: normalizations restored where folding took them away.

    Without them a network's training breaks down at learning rates that it once was trained
    with. What is restored computes what the graph did, with the moments of samples as training sees
    them, and is folded again when the graph is quantized or simplified.

    Args:
        graph: a float graph from any front end.
        data: training samples; labels are not read.
        training: its augmentation; without it samples are as they are.

    Returns:
        The same graph if it has normalizations, or no convolutions with biases.

    Example:
        >>> with_batch_norms(model, data) is model  # it has its own
        True
    """
    apart, names = bare_convolutions(graph)
    if not names:
        return graph
    check_count(graph, data.inputs)
    augment = None if training is None else get_augment(training.augment, graph.input_types)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(data.x))[:SAMPLES]
    module = GraphModule(apart).eval()
    sums = {name: np.zeros((2, apart.type(name).shape[-1])) for name in names}
    counts = dict.fromkeys(names, 0)
    for first in range(0, len(chosen), _BATCH):
        some = chosen[first : first + _BATCH]
        x = [arrange(apart, array[some], input=i) for i, array in enumerate(data.inputs)]
        x = augmented(augment, x, rng)
        inputs = [np.ascontiguousarray(array, np.float32) for array in x]
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
