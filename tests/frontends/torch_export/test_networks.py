"""Whole networks: they agree with eager PyTorch, and nothing is transposed inside."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.networks import NETWORKS
from tests.frontends.torch_export.oracle import agree

# What has to move: shuffled channels, text read column by column, and in each layer of attention
# the heads of queries, keys, values and results.
TRANSPOSES = {"ShuffleNet": 2, "CRNN": 1, "ViT": 8}

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str) -> None:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    graph = agree(make(), shape)
    moved = [node.label for node in graph.nodes if node.op.name == "TRANSPOSE"]
    assert len(moved) <= TRANSPOSES.get(name, 0), moved
