"""The table of operators of a `.pt2` file that does not load, and what it says to do."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from smidgen.cli import app
from smidgen.frontends import survey

pytestmark = pytest.mark.torch


class Net(nn.Module):
    """A convolution, two operators without a rule, and a layer that reads what they make."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Any) -> Any:
        y = self.conv(x).flatten(1)
        y = torch.special.erf(y)
        return self.head(y.sort(1)[0])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("survey") / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch about its own code
        program = torch.export.export(Net().eval(), (torch.zeros(1, 3, 4, 4),))
        torch.export.save(program.run_decompositions({}), path)
    return path


def test_every_call_is_looked_at_and_each_stranger_has_a_way_out(path: Path) -> None:
    found = survey(path)
    bad = {one.operator: one for one in found if one.problem}
    assert {"aten.sort.default"} < set(bad)
    assert len(bad) == 2
    assert "use nn.GELU" in "".join(one.hint or "" for one in bad.values())
    assert "test_survey.py:" in bad["aten.sort.default"].layer
    assert "y.sort(1)[0]" in bad["aten.sort.default"].layer
    assert found[0].operator.startswith("aten.conv")
    assert (found[0].layer, found[0].output) == ("conv", "float32[1,4,2,2]")
    assert found[-1].output == "float32[1,2]"
    assert found[-1].problem is None


def test_inspect_prints_the_table_and_fails(path: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "operators cannot be read. What would work:" in done.output
    assert "aten.sort.default: use argmax or max" in done.output
    facts = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"]).output)
    assert len([one for one in facts["operators"] if one["problem"]]) == 2


def test_weights_alone_are_refused_as_before(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(Net().state_dict(), path)
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert "without the network" in str(done.exception)
