"""Masks over weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen import load
from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.transforms.prune.weights import apply_masks, masks, prunable, sparsity_of


@pytest.fixture(scope="module")
def graph(shared: Path) -> Graph:
    return load(shared / "models/mlperf_tiny/pretrainedResnet.h5")


@pytest.mark.parametrize("scope", ["lamp", "global", "layer"])
@pytest.mark.parametrize("pattern", [None, "block4"])
def test_sparsity_is_what_was_asked_for(graph: Graph, scope: str, pattern: str | None) -> None:
    chosen = masks(graph, 0.8, scope=scope, pattern=pattern)
    sparse = apply_masks(graph, chosen)
    assert sparsity_of(sparse) == pytest.approx(0.8, abs=0.005)
    assert all(mask.any() for mask in chosen.values())
    for name, mask in chosen.items():
        before, after = graph.data(name), sparse.data(name)
        assert before is not None and after is not None
        np.testing.assert_array_equal(after[mask], before[mask])
        assert not after[~mask].any()
        if scope == "layer":
            assert 1 - mask.mean() == pytest.approx(0.8, abs=0.05)
        if pattern and mask.shape[-1] % 4 == 0:
            blocks = mask.reshape(-1, 4)
            assert (blocks == blocks[:, :1]).all()


def test_the_smallest_go_first(graph: Graph) -> None:
    chosen = masks(graph, 0.5, scope="global")
    kept = [np.abs(graph.data(n))[m].min() for n, m in chosen.items()]  # type: ignore[arg-type]
    gone = [np.abs(graph.data(n))[~m].max(initial=0) for n, m in chosen.items()]  # type: ignore[arg-type]
    assert max(gone) <= min(kept)


def test_lamp_leaves_small_layers_more(graph: Graph) -> None:
    chosen = masks(graph, 0.9)
    sizes = {name: mask.size for name, mask in chosen.items()}
    smallest, largest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    assert chosen[smallest].mean() > 2 * chosen[largest].mean()


@pytest.mark.parametrize(("pattern", "keep", "of"), [("2:4", 2, 4), ("1:4", 1, 4)])
def test_n_of_m_stay(graph: Graph, pattern: str, keep: int, of: int) -> None:
    chosen = masks(graph, 0.0, pattern=pattern)
    first, *others = chosen
    assert chosen[first].all(), "three input channels hold no four neighbours"
    for name in others:
        counts = chosen[name].reshape(-1, of).sum(1)
        assert (counts == keep).all()


def test_other_scores_rank(graph: Graph) -> None:
    rng = np.random.default_rng(0)
    scores = {n: rng.random(graph.type(n).shape) for n in prunable(graph)}
    chosen = masks(graph, 0.5, scope="global", scores=scores)
    for name, mask in chosen.items():
        assert scores[name][mask].min() > 0.45
        assert scores[name][~mask].max() < 0.55


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"sparsity": 1.0}, "sparsity 1.0"),
        ({"sparsity": 0.5, "scope": "all"}, "no scope"),
        ({"sparsity": 0.5, "pattern": "4:2"}, "no pattern is called '4:2'"),
        ({"sparsity": 0.5, "pattern": "block"}, "use N:M such as 2:4"),
    ],
)
def test_what_is_unknown_is_refused(graph: Graph, options: dict[str, object], why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        masks(graph, **options)  # type: ignore[arg-type]
