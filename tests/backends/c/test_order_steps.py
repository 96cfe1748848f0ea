"""The order of steps: as good as any that runs, and the same bytes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.order_steps import _Memory, _Way, order_steps
from smidgen.backends.c.select_kernels import Step, select_kernels
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from tests.backends.c.replay import Planned, Replay
from tests.examples import examples
from tests.random_graphs import graphs

QUANT = QuantParams.per_tensor(0.05, 3)


def branches(count: int, wide: int = 24) -> Graph:
    """Branches that grow wide and shrink again, all grown before the first one shrinks."""
    rng = np.random.default_rng(0)
    b = GraphBuilder("branches")
    x = b.input("x", TensorType((1, 8, 8, 2), "int8", QUANT))

    def conv(value: str, channels: int) -> str:
        depth = b.type(value).shape[3]
        data = rng.integers(-127, 128, (channels, 1, 1, depth)).astype(np.int8)
        w = b.constant(data, quant=QuantParams.per_tensor(0.005, 0))
        return b.add(get_op("CONV_2D")(), [value, w, None], quant=QUANT)

    grown = [conv(x, wide) for _ in range(count)]
    total = conv(grown[0], 2)
    for value in grown[1:]:
        total = b.add(get_op("ADD")(), [total, conv(value, 2)], quant=QUANT)
    return b.build([total])


def peak(graph: Graph, steps: Sequence[Step]) -> int:
    memory = _Memory(graph, steps)
    way = memory.start()
    for i in range(len(steps)):
        way = memory.after(way, i)
    return way.peak


def least(graph: Graph, steps: Sequence[Step]) -> int:
    """The least peak of all orders that run, each tried."""
    memory = _Memory(graph, steps)

    def search(way: _Way) -> int:
        ready = memory.ready(way.done)
        if not ready:
            return way.peak
        return min(search(memory.after(way, i)) for i in ready)

    return search(memory.start())


def test_one_branch_after_the_other() -> None:
    graph = branches(4)
    steps = select_kernels(graph)
    ordered = order_steps(graph, steps)
    assert plan_arena(graph, ordered).bytes < 0.5 * plan_arena(graph, steps).bytes


def test_no_order_needs_less() -> None:
    fewer = 0
    for graph in examples(graphs(4, 8, "int8"), 40, "order"):
        steps = select_kernels(graph)
        ordered = order_steps(graph, steps)
        assert peak(graph, ordered) == least(graph, steps) <= peak(graph, steps)
        fewer += peak(graph, ordered) < peak(graph, steps)
        if peak(graph, ordered) == peak(graph, steps):
            assert ordered == steps
    assert fewer > 2


def test_many_branches_are_ordered_in_time() -> None:
    graph = branches(60)
    steps = select_kernels(graph)
    begin = time.process_time()
    ordered = order_steps(graph, steps)
    assert time.process_time() - begin < 5
    assert peak(graph, ordered) < 0.1 * peak(graph, steps)


@pytest.mark.toolchain
def test_another_order_computes_the_same() -> None:
    some = [branches(3), *examples(graphs(6, 12, "int8"), 10, "order replay")]
    planned = [Planned(g, plan_arena(g, order_steps(g, select_kernels(g)))) for g in some]
    replay = Replay(planned)
    for i in range(len(planned)):
        replay.check(i, seed=i)
