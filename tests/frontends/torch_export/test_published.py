"""Networks with weights that others have trained and published, loaded into modules of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import smidgen
from smidgen.training.module import GraphModule, run_module
from tests.frontends.torch_export.oracle import compare, draw
from tests.frontends.torch_export.published import published

pytestmark = pytest.mark.torch


def test_blazeface(shared: Path) -> None:
    module, shape = published(shared / "zoo/blazeface_front.pth")
    graph = smidgen.load(module, example=draw([shape]))
    compare(graph, module, draw([shape], seed=1))
    assert "TRANSPOSE" not in {node.op.name for node in graph.nodes}
    assert graph.type(graph.inputs[0]).shape == (1, 128, 128, 3)


@pytest.mark.parametrize("file", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
def test_cifar_resnet(shared: Path, file: str) -> None:
    module, shape = published(shared / "models/cifar10_teachers" / file)
    graph = smidgen.load(module, example=draw([shape]))
    inputs = draw([shape], seed=1)
    compare(graph, module, inputs)
    assert "TRANSPOSE" not in {node.op.name for node in graph.nodes}
    with torch.no_grad():
        assert int(np.argmax(smidgen.run(graph, inputs[0].permute(0, 2, 3, 1).numpy())[0])) == int(
            module(*inputs).argmax()
        )
    batch = torch.cat([inputs[0], *(draw([shape], seed=s)[0] for s in (2, 3))])
    (got,) = run_module(GraphModule(graph), [batch.permute(0, 2, 3, 1).contiguous().numpy()])
    with torch.no_grad():
        np.testing.assert_allclose(got, module(batch).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "path", ["zoo/blazeface_front.pth", "models/cifar10_teachers/resnet20-12fca82f.th"]
)
def test_weights_alone_are_refused_with_the_way_to_load_them(shared: Path, path: str) -> None:
    with pytest.raises(smidgen.errors.UnsupportedModelError, match="load_state_dict"):
        smidgen.load(shared / path)
