"""Masks in training: connections that are gone stay gone, and more of them go on a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from smidgen.ir import Graph
from smidgen.training.module import GraphModule
from smidgen.transforms.prune.weights import cubic, masks, prunable

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor

EVERY = 20  # steps between two choices of what goes
RAMP = 0.6  # part of a run in which sparsity grows; the rest heals


MEMORY = 0.95  # of a weight's importance, from step to step


class Mask(nn.Module):
    """Lets a weight through where it stays.

    Args:
        mask: True where it stays. Not of floats: those are averaged over steps and processes.
        scores: importance of each weight to begin with, or None where it is not measured.
    """

    def __init__(self, mask: Array, scores: Array | None = None) -> None:
        super().__init__()
        self.mask: Tensor
        self.scores: Tensor | None
        self.register_buffer("mask", torch.from_numpy(mask.astype(bool)))
        first = None if scores is None else torch.from_numpy(scores.astype(np.float32)).square()
        self.register_buffer("scores", first)

    def measure(self, weight: Tensor) -> None:
        """Follow what the loss would change by, to first order, if a weight were zero; squared."""
        if self.scores is not None and weight.grad is not None:
            self.scores.lerp_((weight.detach() * weight.grad).square(), 1 - MEMORY)

    def ranked(self) -> Array | None:
        """Importance by which weights that are still there are chosen; None for magnitude."""
        if self.scores is None:
            return None
        return np.asarray((self.scores.sqrt() * self.mask).cpu().numpy())

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with zeros where it is pruned."""
        return weight * self.mask


def hold_zeros(module: GraphModule) -> None:
    """Keep weights that are zero at zero, whatever training does."""
    for name in prunable(module.graph):
        data = module.graph.data(name)
        assert data is not None
        if not data.all():
            module.hook_constant(name, Mask(data != 0))


def schedule(
    module: GraphModule,
    sparsity: float,
    *,
    scope: str = "lamp",
    pattern: str | None = None,
    scores: Mapping[str, Array] | None = None,
) -> Callable[[int, int], None]:
    """Let connections go gradually while the module trains.

    Args:
        module: its weights get masks.
        sparsity: reached after `RAMP` of the run.
        scope, pattern: as in `smidgen.transforms.prune.weights.masks`; an N:M pattern holds from
            the first step.
        scores: first-order importance to begin with, from
            `smidgen.training.importance.taylor_weights`, which is then followed through the run;
            None to go by magnitude.

    Returns:
        What `fit` calls before each step.
    """
    hooks: dict[str, Mask] = {}
    for name in prunable(module.graph):
        whole = np.ones(module.graph.type(name).shape, bool)
        hooks[name] = Mask(whole, None if scores is None else scores[name])
        module.hook_constant(name, hooks[name])

    def update(step: int, steps: int) -> None:
        ramp = max(1, round(RAMP * steps))
        if step > ramp:
            return
        for name, hook in hooks.items():
            hook.measure(getattr(module, module.keys[name]))
        if step % EVERY and step != ramp:
            return
        measured = {
            name: found for name, hook in hooks.items() if (found := hook.ranked()) is not None
        }
        chosen = masks(
            module.to_graph(), cubic(step, ramp, sparsity), scope=scope, pattern=pattern,
            scores=measured,
        )  # fmt: skip
        for name, mask in chosen.items():
            hooks[name].mask.copy_(torch.from_numpy(mask))

    return update


def is_sparse(graph: Graph) -> bool:
    """Whether some prunable weight is zero."""
    arrays = (graph.data(name) for name in prunable(graph))
    return any(a is not None and not a.all() for a in arrays)
