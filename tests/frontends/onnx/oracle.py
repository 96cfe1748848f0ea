"""onnxruntime beside Smidgen: the same inputs, laid out as each takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import smidgen

Array = np.ndarray[Any, Any]


def session(model: Any) -> Any:
    """An onnxruntime session of a file or a live model, on one thread.

    Without optimizations it computes each node as ONNX defines it: quantized models in float
    between DequantizeLinear and QuantizeLinear, rather than by kernels that saturate on some CPUs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if not hasattr(model, "SerializeToString") else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def as_graph_takes(graph: smidgen.Graph, name: str, array: Array) -> Array:
    """An array of the model as the graph's input `name`: batch axis in front, channels last."""
    batched = array if array.shape[:1] == (1,) else array[None]
    if name in graph.channels_first:
        batched = np.moveaxis(batched, 1, -1)
    return np.ascontiguousarray(batched)


def as_model_gives(graph: smidgen.Graph, name: str, array: Array, like: Array) -> Array:
    """An output of the graph as the model would give it."""
    if name in graph.channels_first:
        array = np.moveaxis(array, -1, 1)
    return array.reshape(like.shape)


def worst_difference(
    graph: smidgen.Graph,
    model: Any,
    *,
    count: int = 3,
    fixed: Mapping[str, Any] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    seed: int = 0,
) -> float:
    """The largest difference on random inputs, relative to the largest output of each run."""
    rng = np.random.default_rng(seed)
    oracle = session(model)
    worst = 0.0
    for index in range(count):
        feed: dict[str, Array] = {}
        for spec in oracle.get_inputs():
            if fixed and spec.name in fixed:
                feed[spec.name] = np.asarray(fixed[spec.name], np.int64)
                continue
            open_shape = tuple(d if isinstance(d, int) else 1 for d in spec.shape)
            shape = (shapes or {}).get(spec.name, open_shape)
            feed[spec.name] = rng.normal(0, (0.3, 1.0, 3.0)[index % 3], shape).astype(np.float32)
        mine = [as_graph_takes(graph, name, feed[name]) for name in graph.inputs]
        wanted = oracle.run(None, feed)
        # onnxruntime's sigmoid is right within 1e-7, whatever is left of its result.
        largest = max(np.abs(want).max() for want in wanted)
        for name, got, want in zip(graph.outputs, smidgen.run(graph, mine), wanted, strict=True):
            error = np.abs(as_model_gives(graph, name, got, want) - want).max()
            worst = max(worst, float(error / largest))
    return worst
