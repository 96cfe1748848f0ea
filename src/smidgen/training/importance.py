"""What channels are worth by the gradient of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset
from smidgen.training.module import GraphModule
from smidgen.training.objective import Teacher
from smidgen.training.samples import Samples
from smidgen.training.settings import Training
from smidgen.transforms.prune.importance import absorbed, per_channel
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
    training = training or Training(augment="none")
    module = GraphModule(channels.graph).eval()
    samples = Samples(module, data, training, teacher, None)
    places = list(absorbed(channels))
    total = np.zeros(channels.count)
    for step in range(batches):
        module.zero_grad()
        loss = samples.objective(module, samples.batch(step, torch.device("cpu")))
        loss.backward()  # type: ignore[no-untyped-call]
        change = np.zeros(channels.count)
        for site, member, _ in places:
            name = site.node.inputs[member.operand]
            assert name is not None
            weight = getattr(module, module.keys[name])
            if weight.grad is None:
                continue
            product = (weight.detach() * weight.grad).numpy()
            rest = tuple(a for a in range(product.ndim) if a != member.axis)
            np.add.at(change, site.channels, per_channel(site, member, product.sum(rest)))
        total += np.square(change)
    return np.sqrt(total / batches)
