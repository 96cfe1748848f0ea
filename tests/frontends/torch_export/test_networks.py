"""Whole networks: they agree with eager PyTorch, and nothing is transposed inside."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.networks import NETWORKS
from tests.frontends.torch_export.oracle import agree

# Channels are shuffled by a transpose; a few pixels are put in order before a linear layer.
TRANSPOSES = {"ShuffleNet": 2, "DS-CNN": 1, "ViT": 20, "CRNN": 3}

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "CRNN"])
def test_network(name: str) -> None:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    graph = agree(make(), shape)
    moved = [node.label for node in graph.nodes if node.op.name == "TRANSPOSE"]
    assert len(moved) <= TRANSPOSES.get(name, 0), moved
