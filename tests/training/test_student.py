"""Students and sensitivity: what is left of a network, and what it would miss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smidgen import Dataset, Graph, describe, evaluate, finetune, quantize, sensitivity, student
from smidgen.errors import RecipeError, UnsupportedModelError
from smidgen.transforms.prune.weights import apply_masks, masks
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def trained() -> Graph:
    return finetune(
        network(seed=1), digits(), epochs=6, batch_size=64, learning_rate=5e-3, threads=1
    )


def anew(graph: Graph) -> Graph:
    """The same network with random weights."""
    rng = np.random.default_rng(0)
    values = {
        name: value
        if value.data is None or value.data.ndim < 2
        else dataclasses.replace(
            value, data=rng.permutation(value.data.ravel()).reshape(value.data.shape)
        )
        for name, value in graph.values.items()
    }
    return dataclasses.replace(graph, values=values)


def test_a_student_begins_with_filters_of_the_model(trained: Graph) -> None:
    small = student(trained, 0.5)
    first = next(n for n in small.nodes if n.op.name == "CONV_2D").inputs[1]
    ours, theirs = small.data(first), trained.data(first)
    assert ours is not None and theirs is not None
    assert ours.shape == (4, 3, 3, 1)
    assert all(any(np.array_equal(a, b) for b in theirs) for a in ours)
    assert describe(small).macs < 0.4 * describe(trained).macs


def test_what_it_begins_with_helps(trained: Graph) -> None:
    data = digits()
    small = student(trained, 0.5, data)
    settings = {"teacher": trained, "epochs": 1, "batch_size": 64, "threads": 1}
    taught, untaught = (finetune(g, data, **settings) for g in (small, anew(small)))
    assert evaluate(taught, data).value > evaluate(untaught, data).value + 0.05


def test_what_cannot_be_a_student_is_refused(trained: Graph) -> None:
    with pytest.raises(RecipeError, match="width 0"):
        student(trained, 0.0)
    with pytest.raises(RecipeError, match="taylor needs"):
        student(trained, 0.5, importance="taylor")
    with pytest.raises(UnsupportedModelError, match="float model"):
        student(quantize(trained, digits()), 0.5)


def test_sensitivity_measures_each_part_alone(trained: Graph) -> None:
    data = digits()
    told: list[tuple[int, int]] = []
    found = sensitivity(
        trained, Dataset(data.x, data.y), parts=(0.25, 0.75), progress=lambda *p: told.append(p)
    )
    assert (found.metric, found.samples, found.parts) == ("accuracy", 144, (0.25, 0.75))
    assert told == [(i, 5) for i in range(5)]
    held = np.random.default_rng((0, 0)).permutation(len(data.x))[:144]
    chosen = Dataset(data.x, data.y, data.x[held], data.y[held])
    assert found.whole == pytest.approx(evaluate(trained, chosen).value)
    last = found.rows[-1]
    sparse = {last.name: masks(trained, 0.75, scope="layer")[last.name]}
    assert last.kind == "weights"
    assert last.scores[1] == pytest.approx(evaluate(apply_masks(trained, sparse), chosen).value)
    groups = [row for row in found.rows if row.kind == "channels"]
    assert [row.size for row in groups] == [8, 16]
    for row in groups:
        assert row.scores[1] < row.scores[0] <= found.whole + 0.02


def test_sensitivity_of_what_has_no_classes_is_a_loss(trained: Graph) -> None:
    data = digits()
    targets = np.eye(10, dtype=np.float32)[data.y] * 0.5 + 0.05
    found = sensitivity(trained, Dataset(data.x, targets), parts=(0.5,), importance="l2")
    assert found.metric == "loss"
    assert all(row.scores[0] > 0 for row in found.rows)


@pytest.mark.parametrize(
    ("options", "why"),
    [({"parts": ()}, "parts"), ({"parts": (1.0,)}, "1.0"), ({"validation": 0.0}, "held apart")],
)
def test_what_cannot_be_measured_is_refused(
    trained: Graph, options: dict[str, object], why: str
) -> None:
    with pytest.raises(RecipeError, match=why):
        sensitivity(trained, digits(), **options)  # type: ignore[arg-type]
