"""Bias correction: what rounding the weights does to each channel's mean goes into its bias.

Source: Nagel et al., "Data-free quantization through weight equalization and bias correction"
(2019), section 4.2, in the empirical form: means are measured on calibration samples, layer after
layer, so that each layer corrects what is left after the layers before it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.interpreter import interpret, run_node, widens
from smidgen.ir import Graph, Node
from smidgen.numerics.affine import dequantize
from smidgen.ops import Role
from smidgen.transforms.quantize.calibrate import batches

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

# A bias stays within this, so that the accumulator has room for the products.
LIMIT = 2**30


def correct_bias(float_graph: Graph, graph: Graph, samples: list[Array]) -> Graph:
    """The integer graph with corrected biases.

    Args:
        float_graph: the graph it was converted from; values have the same names.
        graph: the integer graph.
        samples: calibration samples, one array (n, ...) for each input of the *integer* graph and
            in its dtype.

    Returns:
        The same graph with other int32 biases.
    """
    real = _means(
        float_graph, [_as_float(graph, n, a) for n, a in zip(graph.inputs, samples, strict=True)]
    )
    count = len(samples[0])
    rows = batches(graph, count) if widens(graph) else [slice(i, i + 1) for i in range(count)]
    parts = [dict(zip(graph.inputs, [s[r] for s in samples], strict=True)) for r in rows]
    for node in graph.nodes:
        name = node.outputs[0]
        outputs = [run_node(graph, node, values) for values in parts]
        bias = _bias_operand(graph, node)
        if bias is not None and name in real:
            got = np.concatenate([o[0] for o in outputs])
            old = graph.values[bias]
            assert old.data is not None
            moved = np.clip(old.data + _change(graph, node, got, real[name]), -LIMIT, LIMIT)
            new = dataclasses.replace(old, data=moved.astype(np.int32))
            graph = dataclasses.replace(graph, values={**graph.values, bias: new})
            outputs = [run_node(graph, node, values) for values in parts]
        for values, arrays in zip(parts, outputs, strict=True):
            values.update(zip(node.outputs, arrays, strict=True))
            for operand in node.inputs:  # keep only what later nodes read
                if operand in values and graph.consumers[operand][-1].outputs == node.outputs:
                    del values[operand]
    return graph


def _as_float(graph: Graph, name: str, array: Array) -> Array:
    quant = graph.type(name).quant
    if quant is None:
        return array
    return dequantize(array, quant.scale, quant.zero_point)


def _means(graph: Graph, samples: list[Array]) -> dict[str, Array]:
    """The mean of each channel (last axis) of each activation."""
    found: dict[str, Array] = {}

    def observe(name: str, array: Array) -> None:
        if array.ndim > 1:
            found[name] = array.reshape(-1, array.shape[-1]).mean(axis=0, dtype=np.float64)

    interpret(graph, samples, observe=observe)
    return found


def _bias_operand(graph: Graph, node: Node) -> str | None:
    op: Op = node.op  # type: ignore[assignment]
    if graph.type(node.outputs[0]).dtype != "int8":
        return None
    roles = op.quant_rule(*graph.types(node.inputs)).roles
    for role, name in zip(roles, node.inputs, strict=False):
        if role is Role.BIAS and name is not None and len(graph.consumers[name]) == 1:
            return name
    return None


def _change(graph: Graph, node: Node, output: Array, real: Array) -> Array:
    """What to add to each bias, in its own integer steps."""
    quant = graph.type(node.outputs[0]).quant
    weights = graph.type(node.inputs[1] or "").quant
    source = graph.type(node.inputs[0] or "").quant
    assert quant is not None and weights is not None and source is not None
    got = dequantize(output, quant.scale, quant.zero_point)
    error = real - got.reshape(-1, got.shape[-1]).mean(axis=0, dtype=np.float64)
    steps = source.scale * np.asarray(weights.scales)
    change: Array = np.round(error / steps).astype(np.int64)
    return change
