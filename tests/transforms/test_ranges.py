"""Ranges carried through graphs hold everything that the graphs compute."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph
from smidgen.transforms.ranges import value_ranges
from tests.random_graphs import graphs
from tests.transforms.rewrites.networks import network


def check(graph: Graph, seed: int) -> None:
    ranges = value_ranges(graph)

    def inside(name: str, array: np.ndarray) -> None:
        low, high = ranges[name]
        assert low.shape == high.shape == graph.type(name).shape
        array = array.reshape(-1, *low.shape)  # samples beside each other, whatever rows they take
        assert (low <= array).all(), name
        assert (array <= high).all(), name

    for rounding in ("double", "single"):
        interpret(graph, random_inputs(graph, 12, seed), rounding=rounding, observe=inside)


@settings(max_examples=30, deadline=None)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_of_any_operators(graph: Graph, seed: int) -> None:
    check(graph, seed)


@pytest.mark.parametrize("seed", range(60))
def test_of_networks_with_dead_channels(seed: int) -> None:
    check(network(seed, "float32" if seed % 6 == 5 else "int8"), seed)


def test_constants_are_their_own_bounds_and_inputs_are_free() -> None:
    graph = network(0)
    ranges = value_ranges(graph)
    (name,) = graph.inputs
    assert (ranges[name][0] == -128).all()
    assert (ranges[name][1] == 127).all()
    for name, value in graph.values.items():
        if value.data is not None:
            assert ranges[name][0] is ranges[name][1] is value.data
    assert set(ranges) == set(graph.values)
