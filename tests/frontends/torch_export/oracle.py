"""Eager PyTorch as the oracle: a module, loaded by Smidgen, computes what the module computes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

import smidgen
from smidgen.ir import Graph

TOLERANCE = 1e-4  # of the largest output


def prepared(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module in evaluation mode, its batch norms with statistics that are not trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.affine:
                part.running_mean.normal_(0, 0.3, generator=generator)
                part.running_var.uniform_(0.5, 2.0, generator=generator)
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.3, generator=generator)
    return module.eval()


def draw(shapes: Sequence[tuple[int, ...]], seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Example inputs of batch 1."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(1, *shape, generator=generator) for shape in shapes)


def flat(outputs: Any) -> list[torch.Tensor]:
    """The tensors that forward returned, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for each in values if each is not None for tensor in flat(each)]


def run(graph: Graph, inputs: Sequence[torch.Tensor]) -> list[np.ndarray[Any, Any]]:
    """The graph's outputs, inputs given as the module takes them."""
    arrays = []
    for name, tensor in zip(graph.inputs, inputs, strict=True):
        array = tensor.numpy()
        if name in graph.channels_first:
            array = np.moveaxis(array, 1, -1)
        arrays.append(np.ascontiguousarray(array.astype(graph.type(name).dtype)))
    return smidgen.run(graph, arrays)


def compare(graph: Graph, module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """The graph's outputs are those of the module, within the tolerance."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about its own kernels
        wanted = flat(module(*inputs))
    got = run(graph, inputs)
    assert len(got) == len(wanted)
    for name, ours, tensor in zip(graph.outputs, got, wanted, strict=True):
        theirs = tensor.numpy()
        if name in graph.channels_first:
            ours = np.moveaxis(ours, -1, 1)
        assert ours.shape == theirs.shape
        scale = max(float(np.abs(theirs).max()), 1e-3)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * scale)


def agree(module: torch.nn.Module, *shapes: tuple[int, ...]) -> Graph:
    """Load a module and compare it with itself; returns the graph."""
    inputs = draw(shapes)
    graph = smidgen.load(prepared(module), example=inputs)
    compare(graph, module, draw(shapes, seed=1))
    return graph
