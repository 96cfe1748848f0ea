"""Where accuracy is lost: the signal-to-noise ratio of every layer, worst first, with a cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.interpreter import interpret, run_node
from smidgen.ir import Graph, Node
from smidgen.numerics.affine import dequantize, quantize
from smidgen.ops import Role

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LayerError:
    """How far one layer of the integer graph is from the float graph.

    Args:
        layer: the node's label.
        value: the name of its output.
        snr_db: signal power over error power at this point of the whole integer model, in dB.
        own_snr_db: the same when the layer is given the float graph's inputs (rounded): what the
            layer itself adds.
        clipped: fraction of values beyond the range of the output.
        cause: the likely reason, in words.
    """

    layer: str
    value: str
    snr_db: float
    own_snr_db: float
    clipped: float
    cause: str


def layer_errors(float_graph: Graph, graph: Graph, samples: list[Array]) -> list[LayerError]:
    """Compare every layer of an integer graph with the float graph it came from.

    Args:
        float_graph: the float graph.
        graph: the integer graph, whose values have the same names.
        samples: float samples, one array (n, ...) for each input of the float graph.

    Returns:
        One entry for each int8 layer, the lowest own signal-to-noise ratio first.
    """
    real: dict[str, Array] = {}
    interpret(float_graph, samples, observe=real.__setitem__)
    inputs = []
    for name, array in zip(graph.inputs, samples, strict=True):
        quant = graph.type(name).quant
        inputs.append(
            array if quant is None else quantize(array, quant.scale, quant.zero_point, "int8")
        )
    got: dict[str, Array] = {}
    interpret(graph, inputs, observe=got.__setitem__)
    found = []
    for node in graph.nodes:
        name = node.outputs[0]
        quant = graph.type(name).quant
        if name not in real or quant is None:
            continue
        alone = _alone(graph, node, real)
        if alone is None:
            continue
        signal = real[name]
        low, high = ((q - quant.zero_point) * quant.scale for q in (-128, 127))
        slack = quant.scale / 2
        clipped = float(((signal < low - slack) | (signal > high + slack)).mean())
        whole = snr_db(signal, dequantize(got[name], quant.scale, quant.zero_point))
        own = snr_db(signal, dequantize(alone, quant.scale, quant.zero_point))
        cause = _cause(graph, node, signal, own, whole, clipped)
        found.append(LayerError(node.label, name, whole, own, clipped, cause))
    return sorted(found, key=lambda e: e.own_snr_db)


def snr_db(signal: Array, noisy: Array) -> float:
    """Signal power over error power in dB; 200 stands for no error at all.

    Example:
        >>> round(snr_db(np.ones(4), np.ones(4) * 1.1))
        20
    """
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    error = float(np.mean(np.square(signal - noisy, dtype=np.float64)))
    if error == 0:
        return 200.0
    return float(10 * np.log10(max(power, 1e-30) / error))


def _alone(graph: Graph, node: Node, real: dict[str, Array]) -> Array | None:
    """The node's integer output when its operands are the float graph's, rounded."""
    values: dict[str, Array] = {}
    for name in node.inputs:
        if name is None or graph.data(name) is not None:
            continue
        quant = graph.type(name).quant
        if name not in real or quant is None:
            return None
        values[name] = quantize(real[name], quant.scale, quant.zero_point, "int8")
    try:
        return run_node(graph, node, values)[0]
    except ValueError:  # a layer whose batch cannot be widened
        return None


def _cause(
    graph: Graph, node: Node, signal: Array, own: float, whole: float, clipped: float
) -> str:
    if clipped > 0.001:
        return f"{clipped:.1%} of the values lie beyond the calibrated range"
    if whole < own - 6:
        return "error inherited from the layers before"
    op: Op = node.op  # type: ignore[assignment]
    roles = op.quant_rule(*graph.types(node.inputs)).roles
    for role, name in zip(roles, node.inputs, strict=False):
        data = graph.data(name)
        if role is Role.WEIGHT and data is not None and name is not None:
            quant = graph.type(name).quant
            assert quant is not None
            if quant.axis is None and data.ndim > 1:
                per_channel = np.abs(data.reshape(data.shape[0], -1)).max(axis=1)
                if per_channel.min(initial=127) < 8:
                    return "one weight scale for channels of very different size; use per-channel"
    magnitude = np.abs(signal)
    largest = float(magnitude.max(initial=0.0))
    typical = float(np.median(magnitude[magnitude > 0])) if largest else 0.0
    if typical and largest / typical > 50:
        return f"outliers: the largest value is {largest / typical:.0f} times the median"
    return "rounding to 256 levels"
