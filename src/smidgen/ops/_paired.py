"""Packing weights for the kernels gemm_int8_paired.h and gemm_int4_paired.h, in reading order.

A halfword holds a weight of two channels for one value, or of four channels if they are int4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.line import find_lines
from smidgen.numerics.requantize import requantize
from smidgen.ops._activation import int_bounds
from smidgen.ops._conv import Weighted
from smidgen.ops._kernel import Site
from smidgen.ops._op import NodeTypes
from smidgen.ops._pack import int4_halves
from smidgen.ops._window import Window

Array = np.ndarray[Any, Any]

_SUM_LIMIT = 1 << 23  # the second channel of a pair comes out of its sum in 24 bits
_FOURTH_LIMIT = 1 << 19  # the fourth one of int4 weights in 20 bits
_MAX_SHIFT = 22  # 2^shift times a zero point fits int32 with room to spare


@dataclass(frozen=True)
class Layer:
    """What packing needs to know of a layer.

    Args:
        weights: int64 (channels, depth).
        bias: int64 (channels,), with the input's zero point folded in.
        low, high: smallest and largest accumulator, int64 (channels,).
        multiplier, shift: int64 (channels,).
        zero_point: of the output.
        bounds: smallest and largest output.
    """

    weights: Array
    bias: Array
    low: Array
    high: Array
    multiplier: Array
    shift: Array
    zero_point: int
    bounds: tuple[int, int]

    def refusal(self) -> str | None:
        """Why the DSP kernels cannot requantize a channel, or None."""
        if max(abs(int(self.low.min())), int(self.high.max())) >= 1 << 29:
            return "a bias is over 29 bits"
        if self.shift.min() < -_MAX_SHIFT or self.shift.max() > -1:
            return f"a channel's shift is not 1 to {_MAX_SHIFT}"
        return None

    def factors(self, straight: bool = True) -> tuple[Array, bool]:
        """Addend and multiplier of each channel, int64 (channels, 2), and whether a line's.

        A line's addend is for 256 times the accumulator, the other one for twice; both have the
        bias in them, so that the kernel need only sum products. Unless `straight`, no line is
        looked for.
        """
        found = self.multiplier, self.shift, self.low, self.high, self.zero_point, self.bounds
        lines = find_lines(*found) if straight else None
        if lines is None:
            return np.stack([2 * self.bias, self.multiplier], 1), False
        return np.stack([lines[0] + 256 * self.bias, lines[1]], 1), True


def layer(site: Site) -> Layer:
    """The constants of a node with int8 weights."""
    op = site.op
    assert isinstance(op, Weighted)
    channels = site.output.shape[-1]
    data = np.moveaxis(site.constant(1), op.weight_axis, 0)
    weights = data.reshape(channels, -1).astype(np.int64)
    bias = np.zeros(channels, np.int64)
    if len(site.constants) > 2 and site.constants[2] is not None:
        bias = bias + site.constants[2].reshape(-1)
    zero_point = site.quant(0).zero_point
    edges = weights * (-128 - zero_point), weights * (127 - zero_point)
    low, high = bias + np.minimum(*edges).sum(1), bias + np.maximum(*edges).sum(1)
    multiplier, shift = (
        np.broadcast_to(a, channels).astype(np.int64)
        for a in op.factors(NodeTypes(site.inputs, site.outputs))
    )
    out_point = site.quant(-1).zero_point
    bounds = int_bounds(op.fused_activation_function, site.quant(-1), "int8")
    ends = [
        np.clip(requantize(acc, multiplier, shift, rounding="double") + out_point, *bounds)
        for acc in (low, high)
    ]
    # A channel that never varies needs no weights, and not the bias that may have made it so, which
    # can be too large for the kernels: a quarter of four times its output is exact.
    live, constant = ends[0] != ends[1], 4 * (ends[0] - out_point)
    return Layer(
        weights * live[:, None],
        np.where(live, bias - zero_point * weights.sum(1), constant),
        np.where(live, low, constant),
        np.where(live, high, constant),
        np.where(live, multiplier, 1 << 30),
        np.where(live, shift, -1),
        out_point,
        bounds,
    )


def refusal(site: Site) -> str | None:
    """Why the weights cannot be packed in pairs, or None."""
    constants = layer(site)
    if constants.weights.min() < -127:
        return "a weight is -128"
    if (np.abs(constants.weights).sum(1) * 128 >= _SUM_LIMIT).any():
        return "a channel's weights sum up to more than 24 bits"
    fourth = np.abs(constants.weights[3::4]).sum(1)
    if site.input(1).dtype == "int4" and (fourth * 128 >= _FOURTH_LIMIT).any():
        return "a fourth channel's weights sum up to more than 20 bits"
    return constants.refusal()


def step_count(depth: int) -> int:
    """Steps of two values that so many values take."""
    return depth // 4 * 2 + (0, 1, 1, 2)[depth % 4]


def _positions(rows: int, row: int) -> Array:
    """The values of each step, (steps, 2), -1 where a step has one only.

    First the fours of each row of a window, then what remains of all of them.
    """
    values, fours = np.arange(rows * row).reshape(rows, row), row // 4 * 4
    order = np.concatenate([values[:, :fours].ravel(), values[:, fours:].ravel()])
    at = len(order) // 4 * 4
    steps = order[:at].reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1, 2)
    left: list[int] = order[at:].tolist()
    i, j, k, *_ = [*left, -1, -1, -1]
    rest = [[], [(i, -1)], [(i, j)], [(i, k), (j, -1)]][len(order) - at]
    return np.concatenate([steps, np.array(rest, np.int64).reshape(-1, 2)])


@dataclass(frozen=True)
class Packed:
    """A layer as `sm_gemm_int8_paired` or `sm_gemm_int4_paired` reads it.

    Args:
        stream: int32 words.
        steps: steps of two values.
        step_words: words of the stream for each.
        exact: whether sums are rounded twice as they are, rather than by a line.
        clamp: whether outputs must be limited to `bounds` afterwards.
        zero_point: of the output.
        bounds: smallest and largest output.
    """

    stream: Array
    steps: int
    step_words: int
    exact: bool
    clamp: bool
    zero_point: int
    bounds: tuple[int, int]

    @property
    def group_words(self) -> int:
        """Words of the stream for each group of four channels."""
        return self.step_words * self.steps + (9 if self.exact else 8)


def _pairs(weights: Array) -> Array:
    """A channel in the low byte, one in the high: (groups, 4, ...) to (groups, 2, ...)."""
    packed: Array = 256 * weights[:, 1::2] + weights[:, ::2]
    return packed


def pack(site: Site, *, by_column: bool = False) -> Packed:
    """Pack a layer whose `refusal` is None.

    Args:
        site: the layer.
        by_column: take the values of a window column by column, not row by row.
    """
    constants = layer(site)
    if by_column:
        swapped = constants.weights.reshape(site.input(1).shape).swapaxes(1, 2)
        constants = replace(constants, weights=swapped.reshape(constants.weights.shape))
    channels, depth = constants.weights.shape
    rows = site.input(1).shape[2 if by_column else 1]
    factors, line = constants.factors()
    groups = -(-channels // 4)
    empty = 4 * groups - channels
    factors = np.pad(factors, ((0, empty), (0, 0))).reshape(groups, 8)
    # A column of zeros stands for the values that steps lack.
    padded = np.pad(constants.weights, ((0, empty), (0, 1)))
    values = padded[:, _positions(rows, depth // rows)].reshape(groups, 4, -1, 2)
    four = site.input(1).dtype == "int4"
    halves = int4_halves(values) if four else _pairs(values)  # (group, pair or all, step, value)
    words = (halves[..., 1] << 16) + (halves[..., 0] & 0xFFFF)
    parts = [words.swapaxes(1, 2).reshape(groups, -1)]
    if four:
        parts.append(factors)
    elif line:
        parts = [factors[:, [2, 6]], *parts, factors[:, [0, 1, 3, 4, 5, 7]]]
    else:  # the first words are added to sums, the other addends to twice the sums
        parts = [factors[:, [0, 4]] // 2, *parts, factors[:, [1, 2, 3, 5, 6, 7]]]
    if not line:
        shifts = np.pad(-constants.shift - 1, (0, empty)).reshape(groups, 4)
        parts.append((shifts << np.array([0, 8, 16, 24])).sum(1, keepdims=True))
    stream = np.concatenate(parts, 1).astype(np.uint32).view(np.int32).reshape(-1)
    low, high = constants.bounds
    clamp = low > -128 or high < 127
    _, step_words, steps = words.shape
    bounds, point = constants.bounds, constants.zero_point
    return Packed(stream, steps, step_words, not line, clamp, point, bounds)


def block_lead(
    window: Window, x: TensorType, out: TensorType, block: int, *, by_row: bool = False
) -> int:
    """Safe overlap of a kernel that reads the windows of a block of pixels, then writes them.

    Args:
        window: the window.
        x, out: types of the image and the result, int8 (1, h, w, c).
        block: pixels, in order.
        by_row: a block ends where a row of outputs does.

    Returns:
        Lead bytes, see `Kernel.overlap`.
    """
    _, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = out.shape
    top, left = window.pad(x.shape)
    y = np.clip(np.arange(out_h) * window.stride[0] - top, 0, in_h - 1)
    column = np.clip(np.arange(out_w) * window.stride[1] - left, 0, in_w - 1)
    first = ((y[:, None] * in_w + column[None, :]) * in_c).ravel()
    needed = np.minimum.accumulate(first[::-1])[::-1]  # by this pixel or any later one
    run = out_w if by_row else len(first)
    starts = {at for row in range(0, len(first), run) for at in range(row, row + run, block)}
    pixels = np.array(sorted(starts))[1:]  # nothing is written before the first block is read
    return max(0, int((pixels * out_c - needed[pixels]).max(initial=0)))
