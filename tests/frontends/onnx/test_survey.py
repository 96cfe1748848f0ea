"""The table of operators of an ONNX model that does not load, and what it says to do."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from smidgen.cli import app
from smidgen.errors import UnsupportedModelError
from smidgen.frontends import load, survey
from tests.frontends.onnx.models import make, node
from tests.frontends.onnx.suite import cases

pytestmark = pytest.mark.onnx


def strange() -> Any:
    """Conv → Relu → GridSample → Relu → TopK → Add, and an operator of somebody's own."""
    weights = np.ones((4, 3, 1, 1), np.float32)
    model = make(
        [
            node("Conv", "x w", "conv"),
            node("Relu", "conv", "relu"),
            node("GridSample", "relu grid", "sampled"),
            node("Relu", "sampled", "again"),
            node("TopK", "again k", "best places"),
            node("Add", "best best", "twice"),
            helper.make_node("Fancy", ["twice"], ["y"], name="own", domain="acme"),
        ],
        {"x": (1, 3, 4, 4)},
        ["y"],
        {"w": weights, "grid": np.zeros((1, 4, 4, 2), np.float32), "k": np.array([2])},
        domains=["acme"],
    )
    shape = helper.make_tensor_value_info("sampled", TensorProto.FLOAT, (1, 4, 4, 4))
    model.graph.value_info.append(shape)
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "strange.onnx"
    onnx.save(strange(), path)
    return path


def test_every_node_is_looked_at_and_each_stranger_has_a_way_out(path: Path) -> None:
    found = survey(path)
    assert [one.operator for one in found] == [
        *("Conv", "Relu", "GridSample", "Relu", "TopK", "Add", "acme.Fancy"),
    ]
    assert [bool(one.problem) for one in found] == [0, 0, 1, 0, 1, 0, 1]
    assert [one.layer for one in found][:2] == ["Conv_conv", "Relu_relu"]
    # The model declares what GridSample makes, but not what TopK does.
    assert found[3].output == "float32[1,4,4,4]"
    assert found[5].output == ""
    assert found[2].hint == "sample before the model, or use Resize"
    assert "sort them in your code" in (found[4].hint or "")
    assert "operators of ai.onnx alone" in (found[6].hint or "")


def test_inspect_prints_the_table_and_fails(path: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "3 of 7 operators cannot be read. What would work:" in done.output
    assert "GridSample: sample before the model, or use Resize" in done.output
    done = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    facts = json.loads(done.output)
    assert "GridSample" in facts["error"]["where"]
    assert [bool(one["problem"]) for one in facts["operators"]] == [0, 0, 1, 0, 1, 0, 1]


def test_a_fault_that_is_no_operators_is_told_as_before(tmp_path: Path) -> None:
    """An open shape is refused; the same model with its shape given is surveyed."""
    model = strange()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "rows"
    path = tmp_path / "open.onnx"
    onnx.save(model, path)
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert isinstance(done.exception, UnsupportedModelError)
    assert "static shapes" in str(done.exception)
    done = CliRunner().invoke(app, ["inspect", str(path), "--shape", "x=1,3,4,4"])
    assert "3 of 7 operators cannot be read" in done.output


def test_what_onnx_has_and_we_refuse_is_named_in_the_survey_of_its_own_cases(
    tmp_path: Path,
) -> None:
    """Of ONNX's cases each that does not load has a problem and a way out, others have none."""
    path, refused = tmp_path / "case.onnx", 0
    for case in [*takewhile(lambda case: case.kind == "node", cases())][::30]:
        onnx.save(case.model, path)
        try:
            load(path)
        except UnsupportedModelError as error:
            if error.where is None or "node " not in error.where:
                continue  # it is an input or an output that is refused
            bad = [one for one in survey(path) if one.problem]
            assert bad, (case.name, error)
            assert all(one.hint or one.problem for one in bad)
            refused += 1
        except Exception as error:
            assert type(error).__module__ == "smidgen.errors", (case.name, error)
        else:
            assert not [one for one in survey(path) if one.problem], case.name
    assert refused > 5
