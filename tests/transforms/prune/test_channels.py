"""Choosing channels and removing them, on random networks and real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smidgen import describe, load, random_inputs
from smidgen.errors import RecipeError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphEditor
from smidgen.transforms.prune import importance
from smidgen.transforms.prune.channels import choose, remove, uniform
from smidgen.transforms.prune.groups import Costs, find_groups, survey
from smidgen.transforms.rewrites._edit import set_constant
from smidgen.transforms.shrink import Channels
from tests.transforms.prune.networks import network, recurrent

GRAPHS, RECURRENT = 200, 60


def silenced(graph: Graph, channels: Channels, gone: set[int]) -> Graph:
    """The graph with zeros wherever a weight reads a channel that goes."""
    edit = GraphEditor(graph)
    by_output = {n.outputs[0]: n for n in edit.nodes}
    for site, member, _ in importance.absorbed(channels):
        node = by_output[site.node.outputs[0]]
        name = node.inputs[member.operand]
        assert name is not None
        data = edit.values[name].data
        assert data is not None
        data = data.copy()
        for i, label in enumerate(site.channels.tolist()):
            if label in gone:
                index: list[object] = [slice(None)] * data.ndim
                index[member.axis] = member.positions(i)
                data[tuple(index)] = 0
        by_output[node.outputs[0]] = set_constant(edit, node, member.operand, data)
    return edit.finish()


@pytest.mark.parametrize(("made", "count"), [(network, GRAPHS), (recurrent, RECURRENT)])
def test_what_is_removed_is_what_was_zeroed(made: Callable[[int], Graph], count: int) -> None:
    """And the pruned graph is valid and smaller: `remove` verifies it."""
    rng = np.random.default_rng(0)
    for seed in range(count):
        graph = made(seed)
        channels = Channels(graph)
        scores = rng.random(channels.count)
        cut = uniform(channels, scores, float(rng.uniform(0.2, 0.9)), step=1)
        small = remove(cut)
        before, after = describe(graph), describe(small)
        assert after.parameters < before.parameters or after.macs < before.macs
        assert after.macs == pytest.approx(cut.after, rel=1e-9)
        inputs, stream = random_inputs(graph, 3), bool(graph.states)
        want = interpret(silenced(graph, channels, set(cut.gone)), inputs, stream=stream)
        for ours, theirs in zip(interpret(small, inputs, stream=stream), want, strict=True):
            scale = max(1.0, float(np.abs(theirs).max(initial=0)))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("file", ["pretrainedResnet.h5", "kws_ref_model.keras", "vww_96.keras"])
@pytest.mark.parametrize("target", ["macs", "parameters", "ram"])
def test_targets_are_reached_on_real_models(shared: Path, file: str, target: str) -> None:
    graph = load(shared / "models/mlperf_tiny" / file)
    channels = Channels(graph)
    groups = [g for g in find_groups(channels) if g.pinned is None]
    scores = importance.normalized(importance.l2(channels), groups)
    left = 0.75 if target == "ram" else 0.5
    cut = choose(channels, scores, left, target=target)
    small = remove(cut)
    before, after = describe(graph), describe(small)
    quantity = {"macs": "macs", "parameters": "parameters", "ram": "activation_bytes"}[target]
    assert getattr(after, quantity) <= left * getattr(before, quantity)
    assert getattr(after, quantity) > 0.5 * left * getattr(before, quantity)
    for group in cut.groups:
        if cut.kept(group) < group.size:
            assert cut.kept(group) % 4 == 0


def test_costs_follow_removal(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/pretrainedResnet.h5")
    channels = Channels(graph)
    costs = Costs(channels)
    facts = describe(graph)
    none = np.zeros(channels.count, bool)
    assert costs.macs(none) == facts.macs
    assert costs.parameters(none) == facts.parameters
    assert 4 * costs.peak(none) == facts.activation_bytes
    cut = uniform(channels, importance.l1(channels), 0.5)
    gone = none.copy()
    gone[list(cut.gone)] = True
    after = describe(remove(cut))
    assert costs.macs(gone) == after.macs
    assert costs.parameters(gone) == after.parameters
    assert 4 * costs.peak(gone) == after.activation_bytes


def test_the_mean_of_what_goes_is_made_up_for(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/ad01.h5")
    with np.load(shared / "data/ad/ad01_toycar_one_normal.npz") as file:
        frames = file["logmel"]
    x = np.stack([frames[i : i + 5].ravel() for i in range(196)])
    channels = Channels(graph)
    scores = importance.activation(channels, importance.channel_rms(graph, [x[:98]]))
    cut = uniform(channels, scores, 0.75)
    want = interpret(graph, x[98:])[0]

    def error(small: Graph) -> float:
        return float(np.square(interpret(small, x[98:])[0] - want).mean())

    assert error(remove(cut, importance.channel_means(graph, [x[:98]]))) < 0.9 * error(remove(cut))


def test_batch_norm_scales_rank_channels(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/kws_ref_model.keras")
    channels = Channels(graph)
    scores = importance.batch_norm_scale(channels)
    norm = next(n for n in graph.nodes if n.op.name == "BATCH_NORM")
    gamma = graph.data(norm.inputs[1])
    labels = channels.of(norm.outputs[0], -1)
    assert gamma is not None and labels is not None
    np.testing.assert_allclose(scores[labels] >= np.abs(gamma) - 1e-6, True)
    plain = Channels(load(shared / "models/mlperf_tiny/pretrainedResnet.tflite"))
    with pytest.raises(RecipeError, match="no batch normalization"):
        importance.batch_norm_scale(plain)


def test_what_cannot_be_reached_is_refused(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/pretrainedResnet.h5")
    channels = Channels(graph)
    scores = importance.l2(channels)
    with pytest.raises(RecipeError, match=r"1% of the macs cannot be reached: without"):
        choose(channels, scores, 0.01)
    with pytest.raises(RecipeError, match="no target is called"):
        choose(channels, scores, 0.5, target="joules")
    with pytest.raises(RecipeError, match="give a part in"):
        choose(channels, scores, 1.5)


def test_a_survey_says_what_half_of_each_group_saves(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/kws_ref_model.keras")
    channels = Channels(graph)
    for facts, group in zip(survey(channels), find_groups(channels), strict=True):
        assert (facts.name, facts.size, facts.pinned) == (group.name, group.size, group.pinned)
        if facts.pinned is None:
            small = describe(channels.remove(group.channels[: group.size // 2].tolist()))
            assert facts.macs == pytest.approx(1 - small.macs / describe(graph).macs)
            assert facts.ram == pytest.approx(
                1 - small.activation_bytes / describe(graph).activation_bytes
            )
