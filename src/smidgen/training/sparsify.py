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


class Mask(nn.Module):
    """Multiplies a weight by zeros and ones."""

    def __init__(self, mask: Array) -> None:
        super().__init__()
        self.mask: Tensor
        self.register_buffer("mask", torch.from_numpy(mask.astype(np.float32)))

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
    module: GraphModule, sparsity: float, *, scope: str = "lamp", pattern: str | None = None
) -> Callable[[int, int], None]:
    """Let connections go gradually while the module trains.

    Args:
        module: its weights get masks.
        sparsity: reached after `RAMP` of the run.
        scope, pattern: as in `smidgen.transforms.prune.weights.masks`; an N:M pattern holds from
            the first step.

    Returns:
        What `fit` calls before each step.
    """
    names = prunable(module.graph)
    for name in names:
        module.hook_constant(name, Mask(np.ones(module.graph.type(name).shape, bool)))

    def update(step: int, steps: int) -> None:
        ramp = max(1, round(RAMP * steps))
        if step > ramp or (step % EVERY and step != ramp):
            return
        graph = module.to_graph()
        put(module, masks(graph, cubic(step, ramp, sparsity), scope=scope, pattern=pattern))

    return update


def put(module: GraphModule, chosen: Mapping[str, Array]) -> None:
    """Give the module's masks these values."""
    for name, mask in chosen.items():
        hook = module.on_constant[module.keys[name]]
        assert isinstance(hook, Mask)
        hook.mask.copy_(torch.from_numpy(mask.astype(np.float32)))


def is_sparse(graph: Graph) -> bool:
    """Whether some prunable weight is zero."""
    arrays = (graph.data(name) for name in prunable(graph))
    return any(a is not None and not a.all() for a in arrays)
