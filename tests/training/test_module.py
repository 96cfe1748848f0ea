"""Graphs as torch modules and back, on real models and random ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from smidgen import load, random_inputs
from smidgen.errors import UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.training.module import GraphModule, run_module
from tests.examples import examples
from tests.random_graphs import graphs

pytestmark = pytest.mark.torch

FILES = ("pretrainedResnet.h5", "kws_ref_model.keras", "vww_96.keras", "ad01.h5")


@pytest.mark.parametrize("file", FILES)
def test_real_models_compute_the_same_in_torch_and_come_back(shared: Path, file: str) -> None:
    graph = load(shared / "models/mlperf_tiny" / file)
    inputs = random_inputs(graph, 4)
    module = GraphModule(graph)
    for ours, theirs in zip(interpret(graph, inputs), run_module(module, inputs), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5 * np.abs(ours).max())
    back = module.to_graph()
    assert str(back) == str(graph)
    for name, value in graph.values.items():
        if value.data is not None:
            np.testing.assert_array_equal(back.data(name), value.data)


def test_random_graphs_compute_the_same_in_torch() -> None:
    for graph in examples(graphs(dtype="float32"), 30, "graphs in torch"):
        try:
            module = GraphModule(graph)
        except UnsupportedModelError as error:
            assert "torch lowering" in str(error)
            continue
        inputs = random_inputs(graph, 3)
        for ours, theirs in zip(interpret(graph, inputs), run_module(module, inputs), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5 * np.abs(ours).max())


def test_batch_norms_follow_the_data_and_only_weights_are_parameters(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/pretrainedResnet.h5")
    module = GraphModule(graph)
    norm = next(n for n in graph.nodes if n.op.name == "BATCH_NORM")
    mean, gamma = norm.inputs[3], norm.inputs[1]
    assert mean is not None and gamma is not None
    names = {name for name, _ in module.named_parameters()}
    assert module.keys[gamma] in names and module.keys[mean] not in names
    before = module.constant(mean).clone()
    module.train()
    module(torch.rand(8, 32, 32, 3) * 255)
    assert not torch.equal(before, module.constant(mean))
    module.eval()
    after = module.constant(mean).clone()
    module(torch.rand(8, 32, 32, 3) * 255)
    assert torch.equal(after, module.constant(mean))


def test_hooks_stand_before_the_readers(shared: Path) -> None:
    class Zero(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 0

    graph = load(shared / "models/mlperf_tiny/ad01.h5")
    module = GraphModule(graph)
    weights = graph.nodes[0].inputs[1]
    assert weights is not None
    module.hook_constant(weights, Zero())
    data = module.to_graph().data(weights)
    assert data is not None and not data.any()
    module.hook_value(graph.outputs[0], Zero())
    assert not run_module(module, random_inputs(graph, 1))[0].any()


def test_integer_models_are_refused(shared: Path) -> None:
    graph = load(shared / "models/mlperf_tiny/ad01_int8.tflite")
    with pytest.raises(UnsupportedModelError, match="load the float model"):
        GraphModule(graph)


def test_rows_stay_apart_where_an_operator_names_the_first_one() -> None:
    b = GraphBuilder("first row")
    x = b.input("x", TensorType((1, 4, 3), "float32"))
    y = b.add(get_op("STRIDED_SLICE")((0, 0, 0), (1, 2, 3), (1, 1, 1)), [x])
    graph = b.build([b.add(get_op("ADD")(), [y, y])])
    inputs = random_inputs(graph, 5)
    (got,), (want,) = run_module(GraphModule(graph), inputs), interpret(graph, inputs)
    assert got.shape == (5, 2, 3)
    np.testing.assert_array_equal(got, want)
