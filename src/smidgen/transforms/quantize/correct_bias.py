"""Bias correction: what rounding does to the mean of each channel's sums goes into its bias.

Source: Nagel et al., "Data-free quantization through weight equalization and bias correction"
(2019), section 4.2, in the empirical form: layer after layer, each corrects what is left after
the layers before it. A layer's sums are linear in its input, so their mean is what the layer makes
of the input's mean. Two single samples say it all: the mean of what the float graph feeds the
layer, and the mean of what the integer graph feeds it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.data import decode, encode
from smidgen.interpreter import batches, run_node, widens
from smidgen.ir import Graph, Node
from smidgen.ops import Role
from smidgen.transforms.quantize.calibrate import means
from smidgen.transforms.quantize.convert import BIAS_LIMITS
from smidgen.transforms.quantize.plan import rule_of

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]


def correct_bias(float_graph: Graph, graph: Graph, samples: list[Array]) -> Graph:
    """The integer graph with corrected biases.

    Args:
        float_graph: the graph it was converted from; results have the same names.
        graph: the integer graph.
        samples: calibration samples, one array (n, ...) for each input of the float graph.

    Returns:
        The same graph with other biases; layers without a bias stay as they are.
    """
    layers = {n.outputs[0]: bias for n in graph.nodes if (bias := _bias(graph, n)) is not None}
    sources = {name: float_graph.producers[name].inputs[0] for name in layers}
    real = means(float_graph, samples, {name for name in sources.values() if name is not None})
    count = len(samples[0])
    rows = batches(graph, count) if widens(graph) else [slice(i, i + 1) for i in range(count)]
    inputs = [encode(graph.type(n), s) for n, s in zip(graph.inputs, samples, strict=True)]
    parts = [dict(zip(graph.inputs, [s[r] for s in inputs], strict=True)) for r in rows]
    for node in graph.nodes:
        name, source = node.outputs[0], node.inputs[0]
        if name in layers and source is not None:
            shape, quant = graph.type(source).shape, graph.type(source).quant
            assert quant is not None
            samples_first = (values[source].reshape(-1, *shape) for values in parts)
            total = sum(array.sum(axis=0, dtype=np.float64) for array in samples_first)
            got = (total / count - quant.zero_point) * quant.scale
            float_node = float_graph.producers[name]
            want = real[sources[name] or ""]
            error = _mean_sums(float_graph, float_node, want) - _mean_sums(graph, node, got)
            graph = _moved(graph, layers[name], error)
        for values in parts:
            values.update(zip(node.outputs, run_node(graph, node, values), strict=True))
            for operand in node.inputs:  # keep only what later nodes read
                if operand in values and graph.consumers[operand][-1].outputs == node.outputs:
                    del values[operand]
    return graph


def _bias(graph: Graph, node: Node) -> str | None:
    """The bias of an integer layer that sums products of its input, unless others share it."""
    rule = rule_of(graph, node)
    if rule.roles != (Role.ACTIVATION, Role.WEIGHT, Role.BIAS) or len(node.inputs) < 3:
        return None
    name = node.inputs[2]
    if name is None or graph.type(name).dtype not in BIAS_LIMITS or len(graph.consumers[name]) > 1:
        return None
    return name


def _mean_sums(graph: Graph, node: Node, mean_input: Array) -> Array:
    """The mean of each channel's sums, bias included and activation not, for a mean input."""
    linear: Any = dataclasses.replace(node.op, fused_activation_function="NONE")  # type: ignore[type-var]
    op: Op = linear
    values = [graph.values[n] for n in node.inputs[1:] if n is not None]
    constants = [decode(v.type, v.data) for v in values if v.data is not None]
    (sums,) = op.float_ref(mean_input.astype(np.float32), *constants)
    result: Array = sums.reshape(-1, sums.shape[-1]).mean(axis=0, dtype=np.float64)
    return result


def _moved(graph: Graph, bias: str, by: Array) -> Graph:
    """The graph with real numbers added to a bias."""
    old = graph.values[bias]
    assert old.data is not None and old.type.quant is not None
    steps = np.round(by / np.asarray(old.type.quant.scales))
    limit = BIAS_LIMITS[old.type.dtype]
    data = np.clip(old.data + steps, -limit, limit).astype(old.data.dtype)
    return dataclasses.replace(
        graph, values={**graph.values, bias: dataclasses.replace(old, data=data)}
    )
