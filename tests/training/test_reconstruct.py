"""Reconstruction: int4 networks that learn their float selves' answers, without labels."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smidgen import Dataset, Graph, Recipe, Rule, evaluate, finetune, quantize, reconstruct
from smidgen.data import to_model
from smidgen.errors import DataError, RecipeError
from smidgen.evaluate import real_outputs
from smidgen.ir import GraphBuilder, TensorType, to_text
from smidgen.ops import get_op
from smidgen.training.blocks import blocks
from smidgen.training.module import GraphModule
from smidgen.verify import verify
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch
EVERYWHERE = Recipe((Rule(weight_dtype="int4"),))
NEAREST = dataclasses.replace(EVERYWHERE, fit_weights=False, correct_bias=False)
FEW: dict[str, Any] = {"samples": 200, "steps": 30, "block_steps": 20, "threads": 1}


@pytest.fixture(scope="module")
def trained() -> Graph:
    return finetune(network(seed=1), digits(), epochs=8, batch_size=64, threads=1)


def residual(seed: int = 0) -> Graph:
    """A convolution, a residual block with a depthwise layer, two dense heads."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder("residual")

    def weights(*shape: int, fan_in: int) -> str:
        return b.constant(rng.normal(0, math.sqrt(2 / fan_in), shape).astype(np.float32), name="w")

    def conv(x: str, channels: int, kernel: int) -> str:
        depth = b.type(x).shape[3]
        w = weights(channels, kernel, kernel, depth, fan_in=kernel * kernel * depth)
        return b.add(get_op("CONV_2D")(1, 1, "SAME", "RELU"), [x, w, bias(channels)])

    def bias(channels: int) -> str:
        return b.constant(rng.normal(0, 0.1, channels).astype(np.float32), name="b")

    x = conv(b.input("x", TensorType((1, 8, 8, 1), "float32")), 8, 3)
    depthwise = get_op("DEPTHWISE_CONV_2D")(1, 1, "SAME")
    inner = b.add(depthwise, [x, weights(1, 3, 3, 8, fan_in=9), bias(8)])
    x = b.add(get_op("ADD")("RELU"), [x, conv(inner, 8, 1)])
    x = b.add(get_op("MEAN")((1, 2), False), [x])
    heads = []
    for classes in (5, 3):
        w = weights(classes, 8, fan_in=8)
        heads.append(b.add(get_op("FULLY_CONNECTED")(), [x, w, bias(classes)]))
    return b.build([b.add(get_op("SOFTMAX")(), [heads[0]]), heads[1]])


def error(graph: Graph, model: Graph, x: np.ndarray) -> float:
    """Mean squared, of the first output."""
    return float(np.square(real_outputs(graph, x) - real_outputs(model, x)).mean())


@pytest.mark.parametrize("stages", [{"steps": 200, "block_steps": 0}, {"steps": 0}])
def test_it_errs_less_than_what_it_starts_from(trained: Graph, stages: dict[str, int]) -> None:
    """On samples that were not learned from; either stage alone."""
    data = digits()
    start = quantize(trained, data, NEAREST)
    learned = reconstruct(trained, Dataset(data.x), NEAREST, threads=1, **stages)
    assert data.x_test is not None
    assert error(learned, trained, data.x_test) < 0.4 * error(start, trained, data.x_test)
    assert evaluate(learned, data).value >= evaluate(start, data).value - 0.01


def test_without_steps_it_is_quantize(trained: Graph) -> None:
    data = digits()
    start = quantize(trained, data, "int4", samples=200)
    same = reconstruct(trained, data, "int4", samples=200, steps=0, block_steps=0)
    assert to_text(same) == to_text(start)


def test_labels_and_test_samples_are_not_read(trained: Graph) -> None:
    data = digits()
    assert data.y is not None
    shuffled = dataclasses.replace(data, y=(data.y + 1) % 10, x_test=None, y_test=None)
    alone = reconstruct(trained, data.x, EVERYWHERE, **FEW)
    assert to_text(alone) == to_text(reconstruct(trained, shuffled, EVERYWHERE, **FEW))


def test_runtimes_compute_the_same(trained: Graph) -> None:
    """What comes out is an ordinary int4 model."""
    learned = reconstruct(trained, digits().x, EVERYWHERE, **FEW)
    assert verify(learned, to_model(learned, digits().x[:20])).proven


class KilledError(Exception):
    pass


@pytest.mark.parametrize("moment", [5, 41, 75])
def test_an_interrupted_run_ends_with_the_same_weights(
    trained: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    monkeypatch.setattr("smidgen.training.learner.SAVE_SECONDS", 0.0)
    run = {**FEW, "checkpoint": tmp_path / "run.ckpt"}
    whole = reconstruct(trained, digits().x, EVERYWHERE, **FEW)

    def kill(done: int, total: int) -> None:
        assert total == 3 * FEW["block_steps"] + FEW["steps"]
        if done == moment:
            raise KilledError

    with pytest.raises(KilledError):
        reconstruct(trained, digits().x, EVERYWHERE, **run, progress=kill)
    seen: list[int] = []
    again = reconstruct(
        trained, digits().x, EVERYWHERE, **run, progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == moment + 1
    assert to_text(again) == to_text(whole)
    with pytest.raises(DataError, match="another run"):
        reconstruct(trained, digits().x, EVERYWHERE, **{**run, "seed": 1})


def test_residuals_depthwise_layers_and_several_outputs() -> None:
    model = residual()
    x = np.random.default_rng(0).uniform(0, 1, (400, 8, 8, 1)).astype(np.float32)
    learned = reconstruct(model, x, EVERYWHERE, steps=40, block_steps=20, threads=1)
    assert error(learned, model, x) < 1e-3
    assert len(learned.outputs) == 2


def test_blocks_keep_together_what_lies_side_by_side() -> None:
    graph = residual()
    parts = blocks(graph, lambda node: any(graph.data(n) is not None for n in node.inputs))
    assert [len(part.nodes) for part in parts] == [1, 3, 4]
    assert [len(part.results) for part in parts] == [1, 1, 2]
    assert sum((part.nodes for part in parts), ()) == graph.nodes
    assert blocks(graph, lambda node: False) == []


def test_between_runs_only_what_leads_there() -> None:
    graph = residual()
    module = GraphModule(graph).eval()
    x = torch.rand(3, 8, 8, 1)
    values = module.values([x], [node.outputs[0] for node in graph.nodes])
    middle = graph.nodes[3].outputs[0]
    found = module.between({middle: values[middle]}, graph.outputs)
    for name in graph.outputs:
        torch.testing.assert_close(found[name], values[name])
    with pytest.raises(AttributeError):  # nothing leads back
        module.between({middle: values[middle]}, [graph.nodes[0].outputs[0]])


@pytest.mark.parametrize("name", ["steps", "block_steps"])
def test_settings_out_of_range(trained: Graph, name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} is -1"):
        reconstruct(trained, digits().x, **{name: -1})
