"""Several processes, on one machine or more: torchrun starts them, gloo or NCCL connects them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import distributed, nn

Tensor = torch.Tensor


def place() -> tuple[int, int]:
    """This process's number, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return place()[0] == 0


def share_gradients(module: nn.Module) -> None:
    """Average the gradients over all processes."""
    _average_over([p.grad for p in module.parameters() if p.grad is not None])


def share_buffers(module: nn.Module) -> None:
    """Average the statistics over all processes."""
    _average_over([b for b in module.buffers() if b.is_floating_point()])


def _average_over(tensors: Sequence[Tensor]) -> None:
    world = place()[1]
    if world == 1 or not tensors:
        return
    flat = torch.cat([t.detach().reshape(-1) for t in tensors])
    distributed.all_reduce(flat)
    flat /= world
    at = 0
    for tensor in tensors:
        tensor.detach().copy_(flat[at : at + tensor.numel()].view_as(tensor))
        at += tensor.numel()
