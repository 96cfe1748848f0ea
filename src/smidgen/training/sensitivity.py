"""How much each part of a network would be missed: `smidgen.sensitivity`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.data import Dataset
from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.training.prune import check_float, means_of, rank

Array = np.ndarray[Any, Any]

PARTS = (0.25, 0.5, 0.75)
SAMPLES = 2000  # that a score is measured on, at most


@dataclass(frozen=True)
class Part:
    """One group of channels, or one layer's connections.

    Args:
        kind: "channels" or "weights".
        name: of the first node that makes the channels, or of the weight.
        size: how many channels or weights there are.
        scores: without each of the table's parts of them, all else staying.
    """

    kind: str
    name: str
    size: int
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Sensitivity:
    """What a model scores without parts of itself.

    Args:
        metric: "accuracy" (higher is better) or "loss" (lower is better).
        samples: how many training samples, which nothing was chosen on, it was measured on.
        whole: score of the model as it is.
        parts: of each group or layer that were taken away, such as 0.5.
        rows: groups of channels first, then layers, each in execution order.
    """

    metric: str
    samples: int
    whole: float
    parts: tuple[float, ...]
    rows: tuple[Part, ...]


def sensitivity(
    model: Graph,
    data: Dataset,
    *,
    parts: Sequence[float] = PARTS,
    importance: str = "auto",
    validation: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Take parts of each group of channels and of each layer's weights away, and measure.

    One group or layer at a time, least important first, as `smidgen.prune` would, without any
    training. Test samples are not read.

    Args:
        model: a float graph.
        data: training samples and labels.
        parts: that are taken away.
        importance: what channels are ranked by, as in `smidgen.prune`.
        validation: part of the training samples that is held apart to measure on.
        seed: of that choice.
        progress: called with (measured, all).

    Raises:
        RecipeError: if a part is none, or nothing is held apart.
        UnsupportedModelError: if the model is quantized.

    Example:
        >>> table = sensitivity(model, data, parts=[0.5])
        >>> [(row.kind, row.size) for row in table.rows][:2]
        [('channels', 16), ('channels', 32)]
    """
    import torch

    from smidgen.training.module import GraphModule
    from smidgen.training.samples import Samples
    from smidgen.training.settings import Training

    check_float(model)
    if not parts or not all(0 < part < 1 for part in parts):
        raise RecipeError(f"parts {list(parts)}", hint="give numbers in (0, 1)")
    training = Training(augment="none", validation=validation, seed=seed)
    module = GraphModule(model)
    samples = Samples(module, data, training, None, None)
    if not len(samples.held):
        raise RecipeError("no samples are held apart", hint="give more samples, or validation=0.2")
    samples.held = samples.held[:SAMPLES]
    device = torch.device("cpu")
    whole = samples.score(module, device)
    rows = []
    cases = [*_channels(model, data, importance, training), *_weights(model)]
    for done, (kind, name, size, without) in enumerate(cases):
        if progress is not None:
            progress(done, len(cases))
        scores = [samples.score(GraphModule(without(part)), device) for part in parts]
        rows.append(Part(kind, name, size, tuple(scores)))
    return Sensitivity(samples.metric, len(samples.held), whole, tuple(parts), tuple(rows))


# A kind, a name, a size, and the model without a part of it.
Case = tuple[str, str, int, Callable[[float], Graph]]


def _channels(graph: Graph, data: Dataset, importance: str, training: Any) -> Iterator[Case]:
    from smidgen.transforms.prune.channels import Cut, remove
    from smidgen.transforms.prune.groups import find_groups
    from smidgen.transforms.shrink import Channels

    channels = Channels(graph)
    groups = [g for g in find_groups(channels) if g.pinned is None and g.size > 1]
    scores, means = rank(channels, importance, data, training=training), means_of(graph, data)
    for group in groups:
        order = group.channels[np.argsort(scores[group.channels], kind="stable")]

        def without(part: float, order: Array = order) -> Graph:
            count = min(len(order) - 1, round(part * len(order)))
            return remove(Cut(channels, groups, frozenset(order[:count].tolist()), 0, 0), means)

        yield "channels", group.name, group.size, without


def _weights(graph: Graph) -> Iterator[Case]:
    from smidgen.transforms.prune.weights import apply_masks, masks, prunable

    for name in prunable(graph):

        def without(part: float, name: str = name) -> Graph:
            return apply_masks(graph, {name: masks(graph, part, scope="layer")[name]})

        yield "weights", name, graph.type(name).size, without
