"""Whole networks: they agree with eager PyTorch, and nothing is transposed inside."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.networks import NETWORKS
from tests.frontends.torch_export.oracle import agree

# Attention turns keys, heads and tokens around; text is read column by column.
TRANSPOSES: dict[str, int] = {}

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str) -> None:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    graph = agree(make(), shape)
    moved = [node.label for node in graph.nodes if node.op.name == "TRANSPOSE"]
    assert len(moved) <= TRANSPOSES.get(name, 0), moved
