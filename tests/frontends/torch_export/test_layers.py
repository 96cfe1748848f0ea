"""Every layer and option that docs/pytorch.md lists, against eager PyTorch.

An export takes a few tenths of a second whatever it is of, so cases with the same inputs are the
outputs of one module. `SMIDGEN_LAYERS_APART=1` takes each by itself, to see which one it is.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import nn

from tests.frontends.torch_export.layers import CASES, Case
from tests.frontends.torch_export.oracle import agree

pytestmark = pytest.mark.torch


class Side(nn.Module):
    """Modules side by side: all of their outputs."""

    def __init__(self, cases: list[Case]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({_key(case): case.module() for case in cases})

    def forward(self, *args: Any) -> Any:
        # Each on copies: some write over their operand.
        return [part(*(arg.clone() for arg in args)) for part in self.parts.values()]


def _key(case: Case) -> str:
    return case.name.replace(" ", "-").replace(".", "-")


def _groups() -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in CASES:
        family = case.name.split()[0]
        name = _key(case) if os.environ.get("SMIDGEN_LAYERS_APART") else f"{family}-{case.shapes}"
        found.setdefault(name, []).append(case)
    return found


GROUPS = _groups()


@pytest.mark.parametrize("name", GROUPS)
def test_layers(name: str) -> None:
    torch.manual_seed(0)
    agree(Side(GROUPS[name]), *GROUPS[name][0].shapes)
