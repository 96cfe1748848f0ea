"""Fit int4 weights to samples: round each one so that the layer's sums err least, not the weight.

With 15 levels the nearest one is far away. What rounding one weight adds to a sum, weights that are
not rounded yet can take back, as far as their inputs go together. Source: Frantar et al., "GPTQ:
accurate post-training quantization for generative pre-trained transformers" (2023), which rounds
weights one after the other and moves the rest by what the second moments of their inputs say.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.interpreter import batches, interpret
from smidgen.ir import Graph, Node, Value
from smidgen.numerics.affine import round_half_away
from smidgen.ops import Role
from smidgen.transforms.quantize.convert import LIMITS
from smidgen.transforms.quantize.plan import rule_of

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

_DAMPING = 0.01  # of the mean square of an input: what no sample shows must not decide


def fit_weights(float_graph: Graph, graph: Graph, samples: list[Array]) -> Graph:
    """The integer graph with other int4 weights, at the same scales.

    Args:
        float_graph: the graph it was converted from; results have the same names.
        graph: the integer graph.
        samples: calibration samples, one array (n, ...) for each input of the float graph.

    Returns:
        The same graph, each channel of int4 weights as it errs less: fitted or to the nearest.
    """
    layers = [layer for node in graph.nodes if (layer := _layer(float_graph, graph, node))]
    if not layers:
        return graph

    def observe(name: str, array: Array) -> None:
        for layer in layers:
            if layer.source == name:
                layer.see(array)

    for rows in batches(float_graph, len(samples[0])):
        interpret(float_graph, [s[rows] for s in samples], observe=observe)
    values = dict(graph.values)
    for layer in layers:
        fitted = layer.fitted()
        values[layer.weights.name] = dataclasses.replace(layer.weights, data=fitted)
    return dataclasses.replace(graph, values=values)


def _layer(float_graph: Graph, graph: Graph, node: Node) -> _Layer | None:
    """The layer of a node that has int4 weights of its own."""
    roles = rule_of(graph, node).roles if node.outputs[0] in float_graph.producers else ()
    if roles[:2] != (Role.ACTIVATION, Role.WEIGHT) or node.inputs[1] is None:
        return None
    weights = graph.values[node.inputs[1]]
    if weights.type.dtype != "int4" or len(graph.consumers[weights.name]) > 1:
        return None
    float_node = float_graph.producers[node.outputs[0]]
    real = float_graph.data(float_node.inputs[1])
    source = float_node.inputs[0]
    if real is None or source is None:
        return None
    axis = rule_of(float_graph, float_node).weight_axis
    return _Layer(float_node, source, weights, real, axis or 0)


class _Layer:
    """A layer and the second moments of what its weights are multiplied with.

    Args:
        node: of the float graph.
        source: the name of its input.
        weights: the constant of the integer graph.
        real: the float weights.
        axis: of the channels.
    """

    def __init__(self, node: Node, source: str, weights: Value, real: Array, axis: int) -> None:
        self.source, self.weights, self.real, self.axis = source, weights, real, axis
        linear: Any = dataclasses.replace(node.op, fused_activation_function="NONE")  # type: ignore[type-var]
        self._op: Op = linear
        self._moments: Array | None = None  # (groups, taps, taps)
        self._whole = True

    def see(self, x: Array) -> None:
        """Add the moments of some inputs."""
        taps = self._taps(x)
        if self._moments is None:  # do the taps make the sums? not if the layer is grouped
            rows = self._rows(self.real)
            sums = np.einsum("gpt,grt->pgr", taps, rows).reshape(taps.shape[1], -1)
            (want,) = self._op.float_ref(x, self.real)
            off = np.abs(sums - want.reshape(sums.shape)).max()
            self._whole = bool(off <= 1e-3 * np.abs(want).max() + 1e-6)
        if self._whole:
            moments = (taps.swapaxes(1, 2) @ taps).astype(np.float64)
            self._moments = moments if self._moments is None else self._moments + moments

    def fitted(self) -> Array:
        """The weights, int8 that holds int4, shaped as they were."""
        old = self.weights.data
        assert old is not None and self.weights.type.quant is not None
        if self._moments is None:
            return old
        quant = self.weights.type.quant
        scales = np.asarray(quant.scales)
        if quant.axis is not None:
            scales = self._rows(np.broadcast_to(self._along(scales), old.shape))
        exact = self._rows(self.real).astype(np.float64) / scales
        new, nearest = _fit(exact, self._moments, LIMITS["int4"]), self._rows(old)
        better = _error(exact - new, self._moments) < _error(exact - nearest, self._moments)
        return self._shaped(np.where(better[..., None], new, nearest)).astype(np.int8)

    def _taps(self, x: Array) -> Array:
        """What the weights of each group of channels are multiplied with, (groups, n, taps)."""
        channels = self.real.shape[self.axis]
        count = self.real.size // channels
        if self.axis == 0:  # every channel has the same
            basis = np.eye(count, dtype=np.float32).reshape(count, *self.real.shape[1:])
            return self._sums(x, basis)[None]
        found = []
        for i in range(count):
            basis = np.zeros((channels, count), np.float32)
            basis[:, i] = 1
            found.append(self._sums(x, self._shaped(basis[:, None])))
        return np.stack(found, -1).swapaxes(0, 1)

    def _sums(self, x: Array, weights: Array) -> Array:
        (sums,) = self._op.float_ref(x, weights)
        result: Array = sums.reshape(-1, sums.shape[-1])
        return result

    def _along(self, scales: Array) -> Array:
        shape = [1] * self.real.ndim
        shape[self.axis] = -1
        return scales.reshape(shape)

    def _rows(self, weights: Array) -> Array:
        """Weights as (groups, channels of each, taps)."""
        rows = np.moveaxis(weights, self.axis, 0).reshape(weights.shape[self.axis], -1)
        return rows[None] if self.axis == 0 else rows[:, None]

    def _shaped(self, rows: Array) -> Array:
        """The inverse of `_rows`."""
        shape = np.moveaxis(self.real, self.axis, 0).shape
        return np.moveaxis(rows.reshape(shape), 0, self.axis)


def _fit(exact: Array, moments: Array, limit: int) -> Array:
    """Whole numbers from -limit to limit.

    Args:
        exact: (groups, channels, taps).
        moments: (groups, taps, taps).
        limit: of their magnitude.
    """
    taps = moments.shape[-1]
    power = np.diagonal(moments, axis1=1, axis2=2)
    damping = np.maximum(_DAMPING * power.mean(axis=1), 1e-12)
    inverse = np.linalg.inv(moments + damping[:, None, None] * np.eye(taps))
    factor = np.linalg.cholesky(
        (inverse + inverse.swapaxes(1, 2)) / 2
    )  # lower: column i moves i on
    left, found = exact.copy(), np.zeros_like(exact)
    for i in range(taps):
        found[..., i] = np.clip(round_half_away(left[..., i]), -limit, limit)
        error = (left[..., i] - found[..., i]) / factor[:, i, i, None]
        left[..., i + 1 :] -= error[..., None] * factor[:, None, i + 1 :, i]
    return found


def _error(difference: Array, moments: Array) -> Array:
    """The mean squared error of each channel's sums, up to a factor, (groups, channels)."""
    result: Array = np.einsum("grt,gts,grs->gr", difference, moments, difference)
    return result
