"""The table of layers of a Keras file that does not load, and what it says to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from smidgen.cli import app
from smidgen.errors import UnsupportedModelError
from smidgen.frontends import load, survey
from tests.frontends.keras.oracle import saved
from tests.frontends.keras.test_refusals import REFUSED

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", ["lambda", "no_rule", "transposed", "states", "masks"])
def test_the_layer_at_fault_has_a_problem(name: str, tmp_path: Path) -> None:
    model, _, way = REFUSED[name]
    path = saved(model(), tmp_path, ".keras")
    with pytest.raises(UnsupportedModelError):
        load(path)
    (one,) = survey(path)
    assert one.problem
    assert way in f"{one.problem} {one.hint}"


def test_all_at_fault_are_listed_and_no_others(tmp_path: Path) -> None:
    import keras

    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, name="fine"),
        keras.layers.Lambda(lambda x: x * 2, name="twice"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Lambda(lambda x: x + 1, name="more"),
    ]
    path = saved(keras.Sequential(layers), tmp_path, ".keras")
    assert [(one.layer, bool(one.problem)) for one in survey(path)] == [
        *(("fine", False), ("twice", True), ("flat", False), ("more", True)),
    ]
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "2 of 4 operators cannot be read" in done.output
