"""What channels and connections are worth by the gradient of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset
from smidgen.ir import Graph
from smidgen.training.module import GraphModule
from smidgen.training.objective import Teacher
from smidgen.training.samples import Samples
from smidgen.training.settings import Training
from smidgen.transforms.prune.importance import absorbed, per_channel
from smidgen.transforms.prune.weights import prunable
from smidgen.transforms.shrink import Channels

Array = np.ndarray[Any, Any]


def taylor(
    channels: Channels,
    data: Dataset,
    training: Training | None = None,
    *,
    teacher: Teacher | None = None,
    batches: int = 40,
) -> Array:
    """How much the loss changes, to first order, if a channel were zero wherever it is read.

    A channel that layers read times weights w changes the loss by the sum of w times its gradient,
    since what they compute is linear in it; the squares are averaged over batches.

    Args:
        channels: of a float graph.
        data: training samples.
        training: batch size, loss and seed.
        teacher: who else the loss is about.
        batches: how many to average over.

    Returns:
        Scores of all channels, comparable between groups.

    Source: Molchanov et al., "Importance estimation for neural network pruning" (2019).
    """
    places = list(absorbed(channels))
    total = np.zeros(channels.count)
    for module in _gradients(channels.graph, data, training, teacher, batches):
        change = np.zeros(channels.count)
        for site, member, _ in places:
            name = site.node.inputs[member.operand]
            assert name is not None
            product = _change(module, name)
            if product is None:
                continue
            rest = tuple(a for a in range(product.ndim) if a != member.axis)
            np.add.at(change, site.channels, per_channel(site, member, product.sum(rest)))
        total += np.square(change)
    return np.sqrt(total / batches)


def taylor_weights(
    graph: Graph,
    data: Dataset,
    training: Training | None = None,
    *,
    teacher: Teacher | None = None,
    batches: int = 40,
) -> dict[str, Array]:
    """How much the loss changes, to first order, if a single weight were zero.

    Arguments are those of `taylor`, for a float graph.

    Returns:
        Scores of all prunable weights by name, shaped like them.

    Source: Molchanov et al., "Importance estimation for neural network pruning" (2019).
    """
    total = {n: np.zeros(graph.type(n).shape) for n in prunable(graph)}
    for module in _gradients(graph, data, training, teacher, batches):
        for name, scores in total.items():
            product = _change(module, name)
            if product is not None:
                scores += np.square(product)
    return {name: np.sqrt(scores / batches) for name, scores in total.items()}


def _gradients(
    graph: Graph,
    data: Dataset,
    training: Training | None,
    teacher: Teacher | None,
    batches: int,
) -> Iterator[GraphModule]:
    """The module with the gradients of one batch after the other; nothing is trained."""
    training = training or Training(augment="none")
    module = GraphModule(graph).eval()
    samples = Samples(module, data, training, teacher, None)
    for step in range(batches):
        module.zero_grad()
        loss = samples.objective(module, samples.batch(step, torch.device("cpu")))
        loss.backward()  # type: ignore[no-untyped-call]
        yield module


def _change(module: GraphModule, name: str) -> Array | None:
    """A weight times its gradient; None for a weight that has none."""
    weight = getattr(module, module.keys[name])
    return None if weight.grad is None else np.asarray((weight.detach() * weight.grad).numpy())
