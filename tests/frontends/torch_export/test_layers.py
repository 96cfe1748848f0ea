"""Every layer and option that docs/pytorch.md lists, against eager PyTorch."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.layers import CASES, Case
from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_layer(case: Case) -> None:
    torch.manual_seed(0)
    agree(case.module(), *case.shapes)
