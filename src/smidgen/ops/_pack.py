"""Constants of weighted layers in the form that the DSP kernels read them.

The kernels take the input as it is: minus its zero point times each output's weights is part of
the bias, and a border counts as the zero point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.numerics.requantize import requantize
from smidgen.ops import _conv
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes

Array = np.ndarray[Any, Any]
_INT32 = (np.iinfo(np.int32).min, np.iinfo(np.int32).max)

MAX_ACCUMULATOR = 2**30 - 1  # kernels double accumulators
SHIFTS = (1, 21)


@dataclass(frozen=True)
class Channels:
    """A layer's constants, a row for each output channel.

    Args:
        weights: (channels, taps), int64.
        bias: (channels,), the input's zero point folded in.
        multiplier: (channels,), Q31.
        shift: (channels,), to the right.
    """

    weights: Array
    bias: Array
    multiplier: Array
    shift: Array

    @classmethod
    def of(cls, site: Site) -> Channels:
        """The constants of a node with int8 weights, one multiplier and shift for each channel."""
        op = site.op
        assert isinstance(op, _conv.Weighted)
        w = np.moveaxis(site.constant(1), op.weight_axis, 0)
        w = w.reshape(w.shape[0], -1).astype(np.int64)
        channels = w.shape[0]
        bias = site.constants[2] if len(site.constants) > 2 else None
        folded = np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64).ravel()
        folded = folded - site.quant(0).zero_point * w.sum(1)
        factors = op.factors(NodeTypes(site.inputs, site.outputs))
        multiplier, left = (np.broadcast_to(f, (channels,)).astype(np.int64) for f in factors)
        return cls(w, folded, multiplier, -left)._simplified(site)

    def bounds(self) -> tuple[Array, Array]:
        """The smallest and the largest accumulator of each channel, whatever the input."""
        low = np.minimum(self.weights * -128, self.weights * 127).sum(1)
        high = np.maximum(self.weights * -128, self.weights * 127).sum(1)
        return self.bias + low, self.bias + high

    def _simplified(self, site: Site) -> Channels:
        """Channels with one answer for every input get an easy multiplier and no weights.

        Converters give such channels (pruned by training, as a rule) factors that are tiny, and
        biases that are huge.
        """
        assert isinstance(site.op, _conv.Weighted)
        zero_point = site.quant(-1).zero_point
        limits = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
        low, high = (
            np.clip(requantize(end, self.multiplier, -self.shift) + zero_point, *limits)
            for end in np.clip(self.bounds(), *_INT32)
        )
        fits = np.abs(self.bounds()).max(0) <= _INT32[1]
        same = (low == high) & fits & (self.shift >= 0)
        alive = self.shift[~same]
        easy = int(np.bincount(alive[alive > 0]).argmax()) if (alive > 0).any() else 8
        easy = min(max(easy, SHIFTS[0]), SHIFTS[1] - 8)
        answer = (low - zero_point).astype(np.int64) << (easy + 1)  # times 2^30 / 2^(31 + easy)
        return Channels(
            np.where(same[:, None], 0, self.weights),
            np.where(same, answer, self.bias),
            np.where(same, 2**30, self.multiplier),
            np.where(same, easy, self.shift),
        )

    def refusal(self) -> str | None:
        """Why the DSP kernels cannot requantize a channel, or None."""
        worst = int(np.abs(self.bounds()).max())
        if worst > MAX_ACCUMULATOR:
            return f"sums up to {worst}; the DSP kernels take {MAX_ACCUMULATOR}"
        if self.shift.min() < SHIFTS[0] or self.shift.max() > SHIFTS[1]:
            return f"shifts from {self.shift.min()} to {self.shift.max()}, not {SHIFTS}"
        return None


def dsp_guard(site: Site) -> str | None:
    """Why no DSP kernel with weights can compute this site, or None."""
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    return _conv.int8_guard(site) or Channels.of(site).refusal()


def int4_guard(site: Site) -> str | None:
    """Why the DSP kernel of FULLY_CONNECTED with int4 weights cannot compute this site, or None."""
    return _conv.int4_guard(site) if "dsp" in site.features else "the core has no DSP instructions"


def output_params(site: Site) -> dict[str, Param]:
    """Offset and limits of an output, as the DSP kernels have them."""
    assert isinstance(site.op, _conv.Weighted)
    low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
    return {
        "twice_offset": 2 * site.quant(-1).zero_point + 1,
        "limited": int((low, high) != (-128, 127)),
        "act_min": low,
        "act_max": high,
    }


def fully_connected_guard(site: Site) -> str | None:
    """Why the DSP kernel of FULLY_CONNECTED cannot compute this site, or None."""
    refusal = dsp_guard(site)
    if refusal is not None:
        return refusal
    return pairs_refusal(Channels.of(site).weights)


def pairs_refusal(w: Array) -> str | None:
    """Why weights (outputs, inputs) have no form as `in_pairs`, or None."""
    if w.min() < -127:
        return "a weight is -128; two weights in a half take -127 to 127"
    if np.abs(w.astype(np.int64)).sum(1).max() >= 2**16:
        return "weights of one output sum up to 2^16 or more"
    return None


def one_factor_guard(site: Site) -> str | None:
    """`fully_connected_guard` where moreover all outputs have one multiplier and shift."""
    refusal = fully_connected_guard(site)
    if refusal is None and not one_factor(Channels.of(site)):
        return "the outputs have multipliers of their own"
    return refusal


def one_factor(channels: Channels) -> bool:
    """Whether all channels have one multiplier and shift."""
    return len(set(zip(channels.multiplier.tolist(), channels.shift.tolist(), strict=True))) == 1


def fully_connected_params(site: Site) -> Mapping[str, Param]:
    """The parameters of both DSP kernels of FULLY_CONNECTED."""
    channels = Channels.of(site)
    out_c, in_c = channels.weights.shape
    factors = np.stack([channels.multiplier, channels.shift])
    fill = -out_c % 4
    one = one_factor(channels)
    factors = factors[:, :1] if one else np.pad(factors, ((0, 0), (0, fill)), "edge")
    return {
        "rows": site.input(0).size // in_c,
        "in_c": in_c,
        "out_c": out_c,
        **output_params(site),
        "multiplier": factors[0].astype(np.int32),
        "shift": factors[1].astype(np.int8),
        "doubled_bias": np.pad(2 * channels.bias, (0, fill)).astype(np.int32),
        "weights": in_pairs(channels.weights),
    }


def int4_params(site: Site) -> Mapping[str, Param]:
    """The parameters of the DSP kernel of FULLY_CONNECTED with int4 weights."""
    portable = _conv.int8_params(site)
    weights = site.constant(1).astype(np.int64)
    out_c, in_c = weights.shape
    bias = site.constants[2] if len(site.constants) > 2 else None
    folded = np.zeros(out_c, np.int64) if bias is None else bias.astype(np.int64).ravel()
    folded = folded - site.quant(0).zero_point * weights.sum(1)
    return {
        "rows": site.input(0).size // in_c,
        "in_c": in_c,
        "out_c": out_c,
        "scale_step": int(len(site.quant(1).scales) > 1),
        **{k: portable[k] for k in ("output_offset", "act_min", "act_max", "multiplier", "shift")},
        "bias": folded.astype(np.uint32).view(np.int32),
        "weights": _in_fours(weights),
    }


def _in_fours(w: Array) -> Array:
    """Weights (outputs, inputs) as `sm_fully_connected_int4_dsp` reads them, int32 words."""
    out_c, in_c = w.shape
    padded = np.pad(w, ((0, -out_c % 4), (0, -in_c % 4)))
    halves = int4_halves(padded.reshape(-1, 4, padded.shape[1] // 4, 4))[:, 0]
    words = halves[..., 2:] << 16 | (halves[..., :2] & 0xFFFF)  # inputs (0, 2) and (1, 3)
    packed: Array = words.ravel().astype(np.uint32).view(np.int32)
    return packed


def int4_halves(weights: Array) -> Array:
    """Weights of four channels in one number, all but the topmost plus 8.

    Args:
        weights: int64 (groups, 4, ...), from -8 to 7.

    Returns:
        int64 (groups, 1, ...), the low 16 bits of which count.
    """
    a, b, c, d = (weights[:, i : i + 1] for i in range(4))
    packed: Array = 4096 * d + 256 * (b + 8) + 16 * (c + 8) + (a + 8)
    return packed


def in_pairs(w: Array) -> Array:
    """int64 weights (outputs, inputs) as `sm_fully_connected_int8_dsp` reads them, int32 words."""
    out_c, in_c = w.shape
    padded = np.pad(w, ((0, -out_c % 4), (0, -in_c % 4)))
    # (group, pair, a or b, four inputs, 0/1, 2/3)
    g = padded.reshape(-1, 2, 2, padded.shape[1] // 4, 4)
    halves = g[:, :, 0] + 256 * g[:, :, 1]  # (group, pair, fours, input of 0 to 3)
    words = (halves[..., :2] & 0xFFFF) | (halves[..., 2:] << 16)  # inputs (0, 2) and (1, 3)
    packed: Array = words.transpose(0, 2, 3, 1).ravel().astype(np.uint32).view(np.int32)
    return packed
