"""DEPTHWISE_CONV_2D for kernels/depthwise_dsp.h: how an image is cut up, and packed weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.ops import _conv, _paired
from smidgen.ops._kernel import Param, Site

Array = np.ndarray[Any, Any]

_MAX_TAPS = 127  # their numbers are bytes
_BAND = 6  # lines of outputs at a time at most
_3X3_ROWS = 8, 6  # lines of values and outputs of every tile of 3x3 windows
_CHUNK_BYTES = 1400  # of a tile and its outputs: more takes memory, less takes time


@dataclass(frozen=True)
class Axis:
    """One axis of a layer.

    Args:
        size, out: positions of the input and the output.
        step, out_step: bytes from one position to the next.
        kernel, stride, pad: of the window; padding before the first position.
    """

    size: int
    out: int
    step: int
    out_step: int
    kernel: int
    stride: int
    pad: int

    @property
    def words(self) -> int:
        """Words of two positions that a window lies on."""
        return self.kernel // 2 + 1 if self.stride % 2 else -(-self.kernel // 2)

    def columns(self, outputs: int) -> int:
        """Words that the windows of so many outputs, an even number, lie on."""
        return (outputs - 1) * self.stride // 2 + self.words

    def rows(self, outputs: int) -> int:
        """Positions that the windows of so many outputs lie on."""
        return (outputs - 1) * self.stride + self.kernel


@dataclass(frozen=True)
class Tiling:
    """How the image is cut up.

    Args:
        across: the axis whose positions are lines.
        along: the axis whose positions share words.
        swapped: whether lines are columns of the image rather than rows.
        band, chunk: outputs of a tile, across and along.
        rows, out_rows: lines of values and of outputs that a tile has room for.
    """

    across: Axis
    along: Axis
    swapped: bool
    band: int
    chunk: int
    rows: int
    out_rows: int

    @property
    def columns(self) -> int:
        """Words of each line of the tile."""
        return self.along.columns(self.chunk)

    @property
    def scratch(self) -> int:
        """Bytes of the tile and its outputs."""
        return 16 * self.rows * self.columns + 4 * self.out_rows * self.chunk


def _axes(site: Site) -> tuple[Axis, Axis]:
    op, x, w, out = site.op, site.input(0), site.input(1), site.output
    assert isinstance(op, _conv.Convolution)
    window = op.window(w.shape)
    pads = window.pad(x.shape)
    c = x.shape[3]
    steps = ((x.shape[2] * c, out.shape[2] * c), (c, c))
    vertical, horizontal = (
        Axis(
            x.shape[1 + i],
            out.shape[1 + i],
            *steps[i],
            window.kernel[i],
            window.stride[i],
            pads[i],
        )
        for i in (0, 1)
    )
    return vertical, horizontal


def tiling(site: Site) -> Tiling:
    """Choose lines, bands and chunks."""
    vertical, horizontal = _axes(site)
    # Columns as lines only if one band has them all: bands must leave whole rows behind.
    swap = horizontal.out <= _BAND and _waste(horizontal, vertical) < _waste(vertical, horizontal)
    across, along = (horizontal, vertical) if swap else (vertical, horizontal)
    bands = -(-across.out // _BAND)
    band = min(_BAND, -(-across.out // bands), across.out)
    if bands > 1:
        band += band % 2
    rows, out_rows = across.rows(band), band
    if is_3x3(site):
        rows, out_rows = _3X3_ROWS
    pairs = -(-along.out // 2)
    chunks = 1
    while True:
        chunk = 2 * -(-pairs // chunks)
        found = Tiling(across, along, swap, band, chunk, rows, out_rows)
        if found.scratch <= _CHUNK_BYTES or chunk == 2:
            return found
        chunks += 1


def is_3x3(site: Site) -> bool:
    """Whether the layer has a 3x3 window and stride 1."""
    op = site.op
    assert isinstance(op, _conv.Convolution)
    return site.input(1).shape[1:3] == (3, 3) and (op.stride_h, op.stride_w) == (1, 1)


def _waste(across: Axis, along: Axis) -> int:
    """Outputs that are computed, those beyond the image too."""
    return across.out * (along.out + along.out % 2)


def guard(site: Site) -> str | None:
    """Why no DSP kernel can compute this site, or None."""
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    nibbles = site.input(1).dtype == "int4"
    reason = _conv.int4_guard(site) if nibbles else _conv.int8_guard(site)
    if reason is not None:
        return reason
    op, x, w = site.op, site.input(0).shape, site.input(1).shape
    assert isinstance(op, _conv.Convolution)
    if w[3] != x[3]:
        return "the depth multiplier is not 1"
    if (op.dilation_h_factor > 1 and w[1] > 1) or (op.dilation_w_factor > 1 and w[2] > 1):
        return "the window is dilated"
    if w[1] * w[2] > _MAX_TAPS:
        return f"the window has more than {_MAX_TAPS} taps"
    return _paired.layer(site).refusal()


def guard_3x3(site: Site) -> str | None:
    """Why the DSP kernel of 3x3 windows cannot compute this site, or None."""
    reason = guard(site)
    if reason is None and not is_3x3(site):
        return "the window is not 3x3 with stride 1"
    if reason is None and not _paired.layer(site).factors()[1]:
        return "rounding twice takes more than a line"
    return reason


def pairs_of_taps(kernel: int, words: int) -> list[tuple[int, int]]:
    """Taps (-1 for none) of a line of a window on each word that it may lie on.

    For each word two pairs: of a window that begins with a word, and of one that begins with the
    second value of a word.
    """

    def tap(i: int) -> int:
        return i if 0 <= i < kernel else -1

    found = []
    for word in range(words):
        found += [(tap(2 * word), tap(2 * word + 1)), (tap(2 * word - 1), tap(2 * word))]
    return found


def params(site: Site, line: list[tuple[int, int]]) -> Mapping[str, Param]:
    """Fields of sm_depthwise_dsp_params.

    Args:
        site: a layer.
        line: pairs of taps that the core reads for each line of the window.
    """
    cut = tiling(site)
    across, along = cut.across, cut.along
    layer = _paired.layer(site)
    factors, straight = layer.factors()
    shifts = None if straight else -layer.shift - 1
    kernel = site.input(1).shape[1:3]
    weights = layer.weights.reshape(-1, *kernel)
    if cut.swapped:
        weights = weights.swapaxes(1, 2)
    taps = [
        tuple(t if t < 0 else i * along.kernel + t for t in pair)
        for i in range(across.kernel)
        for pair in line
    ]
    low, high = layer.bounds
    nibbles = site.input(1).dtype == "int4"
    return {
        "lines": across.size,
        "length": along.size,
        "line_step": across.step,
        "step": along.step,
        "out_lines": across.out,
        "out_length": along.out,
        "out_line_step": across.out_step,
        "out_step": along.out_step,
        "channels": site.output.shape[3],
        "window_lines": across.kernel,
        "line_stride": across.stride,
        "line_pad": across.pad,
        "window_words": along.words,
        "stride": along.stride,
        "pad": along.pad,
        "band": cut.band,
        "rows": cut.rows,
        "out_rows": cut.out_rows,
        "chunk": cut.chunk,
        "columns": cut.columns,
        "chunk_columns": cut.chunk * along.stride // 2,
        "padding": site.quant(0).zero_point,
        "exact": int(not straight),
        "half_point": 2 * layer.zero_point + 1,
        "clamp": int(low > -128 or high < 127),
        "act_min": low,
        "act_max": high,
        "nibbles": int(nibbles),
        "tap_words": -(-across.kernel * along.kernel // 2)
        if nibbles
        else across.kernel * along.kernel,
        "words": len(taps),
        "taps": np.array(taps, np.int8),
        "stream": _stream(weights.reshape(len(weights), -1), factors, shifts, nibbles),
    }


def _stream(weights: Array, factors: Array, shifts: Array | None, nibbles: bool) -> Array:
    """Words for each four channels; of channels that are left over, the last ones are real."""
    channels = len(weights)
    empty = (-channels % 4) if channels >= 4 else 0
    behind = 4 - channels if channels < 4 else 0

    def fours(a: Array) -> Array:
        whole = channels - channels % 4 if channels >= 4 else 0
        parts = [a[:whole], np.zeros((empty, *a.shape[1:]), np.int64), a[whole:]]
        parts.append(np.zeros((behind, *a.shape[1:]), np.int64))
        return np.concatenate(parts).reshape(-1, 4, *a.shape[1:])

    bytes = np.array([0, 8, 16, 24])
    taps = fours(weights).swapaxes(1, 2)  # (four channels, taps, 4)
    if nibbles:
        halves = ((taps + 8) << np.array([0, 4, 8, 12])).sum(2)
        halves = np.pad(halves, ((0, 0), (0, halves.shape[1] % 2)))
        words = halves[:, ::2] | halves[:, 1::2] << 16
    else:
        words = ((taps & 255) << bytes).sum(2)
    parts = [words, fours(factors).reshape(len(taps), 8)]
    if shifts is not None:
        parts.append((fours(shifts) << bytes).sum(1, keepdims=True))
    stream: Array = np.concatenate(parts, 1).astype(np.uint32).view(np.int32).reshape(-1)
    return stream


def scratch(site: Site, words: int) -> int:
    """Bytes of scratch of a kernel whose core reads so many words for each line of the window."""
    cut = tiling(site)
    return 16 * words * cut.across.kernel + cut.scratch


def in_place(site: Site) -> int | None:
    """The output may take the input's place if there is one band and both have one shape."""
    cut = tiling(site)
    same = site.input(0).shape == site.output.shape
    strides = cut.across.stride, cut.along.stride
    return 0 if same and strides == (1, 1) and cut.band == cut.across.out else None


def overlap(site: Site) -> Mapping[int, int]:
    """A band's outputs may lie over what no window of this band or of a later one lies on."""
    cut = tiling(site)
    across = cut.across
    if cut.band == across.out:  # see in_place
        return {}
    starts = np.arange(0, across.out, cut.band)
    written = np.minimum(starts + cut.band, across.out) * across.out_step
    needed = np.clip(starts * across.stride - across.pad, 0, None) * across.step
    return {0: max(0, int((written - needed).max()))}
