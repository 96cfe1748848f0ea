"""Whole networks: they agree with eager PyTorch, and nothing is transposed inside."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.networks import NETWORKS
from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str) -> None:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    agree(make(), shape)
