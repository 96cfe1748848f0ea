"""Graphs with dead parts, as training and pruning leave them: what shrinking is tested on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.ir import Graph, GraphEditor, verify
from smidgen.ops import Op, Role

Array = np.ndarray[Any, Any]


def wound(graph: Graph, seed: int) -> Graph:
    """A copy of a graph in which some filters, inputs and taps are zero and some biases extreme."""
    rng = np.random.default_rng(seed)
    edit = GraphEditor(graph)
    for node in graph.nodes:
        op: Op = node.op
        rule = op.quant_rule(*graph.types(node.inputs))
        if Role.WEIGHT not in rule.roles or rule.weight_axis is None:
            continue
        w_name = node.inputs[rule.roles.index(Role.WEIGHT)]
        b_index = rule.roles.index(Role.BIAS)
        b_name = node.inputs[b_index] if b_index < len(node.inputs) else None
        w = np.moveaxis(graph.values[w_name].data.copy(), rule.weight_axis, 0)
        share = rng.choice([0.0, 0.3, 0.7, 1.0])
        w[rng.random(w.shape[0]) < share] = 0  # dead filters
        w[..., rng.random(w.shape[-1]) < rng.choice([0.0, 0.3, 0.7])] = 0  # dead inputs
        if w.ndim == 4 and rng.random() < 0.3:
            w[:, :: int(rng.integers(1, 3))] = 0  # dead taps
        if rng.random() < 0.2:
            w[rng.random(w.shape) < 0.8] = 0  # sparse
        data = np.ascontiguousarray(np.moveaxis(w, 0, rule.weight_axis))
        edit.values[w_name] = replace(edit.values[w_name], data=data)
        if b_name is None:
            continue
        b = graph.values[b_name].data.copy()
        hit = rng.random(b.shape)
        if b.dtype.kind == "i":
            b[hit < 0.15] = rng.choice([-(2**24), 2**24])  # saturated
            b[(hit > 0.15) & (hit < 0.3)] = rng.integers(-3000, 3000)
        b[hit > 0.8] = 0
        edit.values[b_name] = replace(edit.values[b_name], data=b)
    edit.modified = True
    wounded = edit.finish()
    verify(wounded)
    return wounded
