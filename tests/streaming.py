"""Small networks that remember: what the tests of states share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, GraphEditor, State, TensorType, Value, numpy_dtype
from smidgen.ops import _draw, get_op

Array = np.ndarray[Any, Any]

FRAMES, BINS, CLASSES = 4, 6, 3


def ring(seed: int = 3) -> Graph:
    """A streaming keyword spotter in small: the last frames in a ring, a filter over all of them.

    The input is (1, 1, 6), one frame; the state holds the three frames before it.
    """
    rng = np.random.default_rng(seed)
    b = GraphBuilder("ring")
    x = b.input("x", TensorType((1, 1, BINS), "float32"))
    past = b.state("past", TensorType((1, FRAMES - 1, BINS), "float32"))
    window = b.add(get_op("CONCATENATION")(axis=1), [past, x], name="window")
    recent = get_op("STRIDED_SLICE")(
        begin=(0, 1, 0), end=(0, FRAMES, 0), strides=(1, 1, 1), begin_mask=5, end_mask=5
    )
    b.becomes(past, b.add(recent, [window], name="recent"))
    flat = b.add(get_op("RESHAPE")(new_shape=(1, FRAMES * BINS)), [window], name="flat")
    w = b.constant(rng.normal(0, 0.3, (CLASSES, FRAMES * BINS)).astype(np.float32), name="w")
    bias = b.constant(rng.normal(0, 0.3, CLASSES).astype(np.float32), name="bias")
    scores = b.add(get_op("FULLY_CONNECTED")(), [flat, w, bias], name="scores")
    return b.build([scores])


def frames(count: int, seed: int = 5) -> Array:
    """Consecutive inputs of `ring`, (count, 1, 6)."""
    return np.random.default_rng(seed).normal(size=(count, 1, BINS)).astype(np.float32)


def ring_by_hand(graph: Graph, x: Array) -> Array:
    """What `ring` computes for consecutive inputs, as one formula over all of them."""
    w, bias = (graph.values[name].data for name in ("w", "bias"))
    assert w is not None and bias is not None
    padded = np.concatenate([np.zeros((FRAMES - 1, BINS), np.float32), x[:, 0]])
    windows = np.stack([padded[i : i + FRAMES].reshape(-1) for i in range(len(x))])
    result: Array = windows @ w.T + bias
    return result


def remembering(graph: Graph, seed: int, count: int = 3) -> Graph:
    """A graph in which some operands are what they, or other values, were a step before.

    Args:
        graph: any graph.
        seed: of the choice of operands.
        count: how many.
    """
    rng = np.random.default_rng(seed)
    values, nodes, states = dict(graph.values), list(graph.nodes), []
    uses = [
        (i, k)
        for i, node in enumerate(nodes)
        for k, name in enumerate(node.inputs)
        if name is not None and not values[name].is_constant
    ]
    made = [name for node in nodes for name in node.outputs]
    for number, place in enumerate(rng.permutation(len(uses))[:count]):
        i, k = uses[place]
        name = nodes[i].inputs[k]
        assert name is not None
        past = f"past_{number}"
        type = values[name].type
        values[past] = Value(past, type)
        initial = (
            _draw.values(rng, type) if number else np.zeros(type.shape, numpy_dtype(type.dtype))
        )
        alike = [n for n in made if n != name and values[n].type == type]
        output = alike[rng.integers(len(alike))] if alike and number % 2 == 0 else name
        states.append(State(past, past, output, initial))
        inputs = (*nodes[i].inputs[:k], past, *nodes[i].inputs[k + 1 :])
        nodes[i] = replace(nodes[i], inputs=inputs)
    changed = replace(graph, values=values, nodes=tuple(nodes), states=tuple(states))
    return GraphEditor(changed).finish()
