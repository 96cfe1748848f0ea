"""Weight averaging: the mean of the weights over the last steps is better than the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """A moving average of all weights and statistics."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.mean = {k: v.clone() for k, v in module.state_dict().items()}

    def update(self, module: nn.Module) -> None:
        """Move towards the weights as they are now; faster at first."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            for name, value in module.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value, 1 - decay)
                else:
                    self.mean[name].copy_(value)

    def copy_to(self, module: nn.Module) -> None:
        """Give the module the average."""
        module.load_state_dict(self.mean)

    @contextmanager
    def in_place(self, module: nn.Module) -> Iterator[None]:
        """Let the module be the average for a while."""
        own = {k: v.clone() for k, v in module.state_dict().items()}
        self.copy_to(module)
        try:
            yield
        finally:
            module.load_state_dict(own)
