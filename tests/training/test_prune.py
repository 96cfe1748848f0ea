"""Pruning with training: channels and connections, with and without data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen import Dataset, Graph, describe, evaluate, finetune, prune, quantize
from smidgen.errors import RecipeError, UnsupportedModelError
from smidgen.frontends.lowering import GruCell, Lowering, LstmCell, run
from smidgen.frontends.lowering.movement import reshape
from smidgen.frontends.lowering.site import Operand
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.training.importance import taylor
from smidgen.transforms.prune.channels import choose, remove
from smidgen.transforms.prune.groups import find_groups
from smidgen.transforms.prune.importance import l2, normalized
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.transforms.shrink import Channels
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch
SETTINGS: dict[str, Any] = {"batch_size": 64, "learning_rate": 5e-3, "threads": 1}


@pytest.fixture(scope="module")
def trained() -> Graph:
    return finetune(network(seed=1), digits(), epochs=8, **SETTINGS)


def test_channels_are_removed_and_the_rest_heals(trained: Graph) -> None:
    data = digits()
    before = evaluate(trained, data).value
    cut = prune(trained, data, channels=0.4, epochs=0)
    healed = prune(trained, data, channels=0.4, epochs=4, teacher=trained, **SETTINGS)
    assert describe(healed).macs == describe(cut).macs <= 0.4 * describe(trained).macs
    assert evaluate(healed, data).value > max(before - 0.04, evaluate(cut, data).value)


def test_rounds_reach_the_same_target(trained: Graph) -> None:
    small = prune(trained, digits(), channels=0.3, rounds=2, epochs=2, **SETTINGS)
    assert describe(small).macs <= 0.3 * describe(trained).macs
    assert evaluate(small, digits()).value > 0.8


@pytest.mark.parametrize("importance", ["taylor", "activation", "l2", "l1", "bn"])
def test_every_importance_ranks(trained: Graph, importance: str) -> None:
    data = digits()
    small = prune(trained, data, channels=0.7, importance=importance, epochs=0)
    assert describe(small).macs <= 0.7 * describe(trained).macs


def test_taylor_knows_what_the_loss_needs(trained: Graph) -> None:
    """Better than leaving it to the order of channels, without any training."""
    data = digits()
    channels = Channels(trained)
    scores = taylor(channels, data)
    good = remove(choose(channels, scores, 0.6))
    rng = np.random.default_rng(0)
    random = [
        evaluate(remove(choose(channels, rng.permutation(scores), 0.6)), data).value
        for _ in range(5)
    ]
    assert evaluate(good, data).value > np.mean(random)
    groups = [g for g in find_groups(channels) if g.pinned is None]
    assert np.isfinite(normalized(l2(channels), groups)).all()


@pytest.mark.parametrize("pattern", [None, "block4"])
def test_connections_go_gradually_and_stay_gone(trained: Graph, pattern: str | None) -> None:
    data = digits()
    sparse = prune(trained, data, weights=0.8, pattern=pattern, epochs=6, **SETTINGS)
    assert sparsity_of(sparse) == pytest.approx(0.8, abs=0.01)
    assert evaluate(sparse, data).value > (0.75 if pattern else 0.85)
    again = finetune(sparse, data, epochs=1, **SETTINGS)
    assert sparsity_of(again) == pytest.approx(sparsity_of(sparse), abs=1e-6)
    assert not np.array_equal(again.data("w"), sparse.data("w"))


def test_a_pattern_is_kept(trained: Graph) -> None:
    sparse = prune(trained, digits(), pattern="2:4", epochs=2, **SETTINGS)
    dense = next(n for n in sparse.nodes if n.op.name == "FULLY_CONNECTED")
    weights = sparse.data(dense.inputs[1])
    assert weights is not None
    assert ((weights.reshape(-1, 4) != 0).sum(1) <= 2).all()
    assert evaluate(sparse, digits()).value > 0.85


def test_without_data_weights_decide(trained: Graph) -> None:
    assert describe(prune(trained, channels=0.5)).macs <= 0.5 * describe(trained).macs
    assert sparsity_of(prune(trained, weights=0.5)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "nothing is to be pruned"),
        ({"channels": 0.5, "rounds": 0}, "0 rounds"),
        ({"channels": 0.5, "importance": "magic"}, "no importance is called 'magic'"),
        ({"channels": 0.5, "importance": "taylor"}, "taylor needs labels"),
        ({"weights": 0.5, "importance": "magic"}, "no importance is called 'magic'"),
        ({"weights": 0.5, "importance": "taylor"}, "taylor needs labels"),
        ({"channels": 0.001}, "cannot be reached"),
        ({"channels": 0.5, "target": "joules"}, "no target is called"),
        ({"channels": 1.5}, "1.5 of the macs"),
        ({"weights": 1.0}, "sparsity 1.0"),
        ({"pattern": "4:2"}, "no pattern is called '4:2'"),
        ({"weights": 0.5, "scope": "all"}, "no scope is called 'all'"),
        ({"weights": 0.5, "epoch": 1}, "no setting is called 'epoch'"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], why: str) -> None:
    data = digits() if "epoch" in options else Dataset(digits().x)
    with pytest.raises(RecipeError, match=why):
        prune(network(), data, **options)


def test_taylor_takes_large_weights_that_no_sample_needs() -> None:
    """The first column of these images is dark: what reads it matters to magnitude alone."""
    data = digits()
    dark = np.broadcast_to(data.x.max((0, 3)) == 0, (8, 8)).ravel()
    assert 2 <= dark.sum() < 20
    b = GraphBuilder("dense")
    w = np.random.default_rng(0).normal(0, 0.05, (10, 64)).astype(np.float32)
    w[:, dark] = 9
    x = b.input("x", TensorType((1, 8, 8, 1), "float32"))
    flat = b.add(get_op("RESHAPE")((1, 64)), [x])
    scores = b.add(get_op("FULLY_CONNECTED")(), [flat, b.constant(w, name="w")])
    graph = b.build([b.add(get_op("SOFTMAX")(), [scores])])
    part = float(dark.mean())
    for epochs in (0, 1):
        sparse = {
            by: prune(graph, data, weights=part, importance=by, scope="global", epochs=epochs,
                      augment="none", learning_rate=1e-4, threads=1).data("w")
            for by in ("auto", "taylor")
        }  # fmt: skip
        taken = {by: found == 0 for by, found in sparse.items() if found is not None}
        assert taken["taylor"][:, dark].all() and not taken["taylor"][:, ~dark].any()
        assert not taken["auto"][:, dark].any()


@pytest.mark.parametrize("pattern", [None, "2:4"])
@pytest.mark.parametrize("importance", ["auto", "taylor"])
@pytest.mark.parametrize("ema", [0.0, 0.99])
def test_what_is_gone_stays_gone_in_an_average(
    trained: Graph, importance: str, ema: float, pattern: str | None
) -> None:
    data = digits()
    weights = None if pattern else 0.8
    sparse = prune(
        trained, data, weights=weights, pattern=pattern, importance=importance, epochs=8, ema=ema,
        **SETTINGS,
    )  # fmt: skip
    assert sparsity_of(sparse) == pytest.approx(weights or 0.5, abs=0.06)
    assert evaluate(sparse, data).value > 0.85


def test_a_teacher_needs_samples_and_integers_are_not_pruned(trained: Graph) -> None:
    with pytest.raises(RecipeError, match="without samples"):
        prune(trained, channels=0.5, teacher=trained)
    with pytest.raises(UnsupportedModelError, match="load the float model"):
        prune(quantize(trained, digits()), channels=0.5)


@pytest.mark.parametrize("target", ["macs", "parameters", "flash", "ram"])
def test_every_target_is_reached(trained: Graph, target: str) -> None:
    measure = {
        "macs": lambda g: describe(g).macs,
        "parameters": lambda g: describe(g).parameters,
        "flash": lambda g: describe(quantize(g, digits())).constant_bytes,
        "ram": lambda g: describe(g).activation_bytes,
    }[target]
    small = prune(trained, channels=0.5, target=target)
    near = 0.02 if target == "flash" else 0.0
    assert measure(small) <= (0.5 + near) * measure(trained)


@pytest.mark.parametrize("unroll", [False, True])
def test_units_of_recurrent_layers_go(unroll: bool) -> None:
    """The digits row by row, through an LSTM and a GRU."""
    data, rng = digits(), np.random.default_rng(0)
    at = Lowering(GraphBuilder("rows"))
    pixels = at.builder.input("x", TensorType((1, *data.x.shape[1:]), "float32"))
    rows: Operand = reshape(at, pixels, (1, 8, 8))
    for kind, gates, inputs, units in ((LstmCell, 4, 8, 16), (GruCell, 3, 16, 12)):
        shapes = ((gates * units, inputs), (gates * units, units), *[(gates * units,)] * 2)
        cell = kind.from_torch(*(rng.normal(0, 0.2, s).astype(np.float32) for s in shapes))
        done = run(at, cell, rows, unroll=unroll)
        rows = done.sequence
    w = rng.normal(0, 0.3, (10, 12)).astype(np.float32)
    graph = at.builder.build([at.add("FULLY_CONNECTED", [done.hidden, w])])
    graph = finetune(graph, data, epochs=3, **SETTINGS)
    cut = prune(graph, data, channels=0.5, epochs=0)
    healed = prune(graph, data, channels=0.5, epochs=3, teacher=graph, **SETTINGS)
    assert describe(healed).macs == describe(cut).macs <= 0.5 * describe(graph).macs
    assert evaluate(healed, data).value > max(0.25, evaluate(cut, data).value)
