"""DEPTHWISE_CONV_2D for kernels/depthwise_dsp.h: how an image is cut up, and packed weights.

Rounding by lines and rounding twice are two kernels. For "flash" all layers share the one that
rounds twice, which computes any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.ops import _conv, _paired
from smidgen.ops._kernel import Kernel, Param, Site

Array = np.ndarray[Any, Any]

_MAX_TAPS = 127  # their numbers are bytes
_MAX_SIZE, _MAX_STRIDE = 65535, 255  # what fields of sm_depthwise_dsp_params hold
_BAND = 6  # lines of outputs at a time at most
_CHUNK_BYTES = 1440  # of a tile and its outputs: more takes memory, less takes time
_LEAN_CHUNK_BYTES = 700


@dataclass(frozen=True)
class Core:
    """What computes a tile, written for one window and stride, or for any.

    Args:
        name: what its kernel is called behind `sm_depthwise_conv_2d_int8_`.
        window, stride: (h, w), the only ones it knows; () for any.
        rows, out_rows: lines of values and of outputs that its tiles have; 0 for what it takes.
        taps: pairs of taps, line by line, -1 for none, that it reads as words of two weights; ()
            for those of `pairs_of_taps`.
        exact: whether it rounds twice as it is, rather than by a line; None for either.
    """

    name: str
    window: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    rows: int = 0
    out_rows: int = 0
    taps: tuple[tuple[int, int], ...] = ()
    exact: bool | None = None


_TAPS_STRIDE_1 = tuple((i + j, i + j + 1) for i in (0, 3, 6) for j in (0, 1))
_TAPS_STRIDE_2 = ((0, 1), (3, 4), (6, 7), (2, 5), (8, 8))

CORES = (
    Core("3x3", (3, 3), (1, 1), 8, 6, _TAPS_STRIDE_1, exact=False),
    Core("3x3_exact", (3, 3), (1, 1), 8, 6, _TAPS_STRIDE_1, exact=True),
    Core("3x3_stride2", (3, 3), (2, 2), 9, 4, _TAPS_STRIDE_2, exact=False),
    Core("3x3_stride2_exact", (3, 3), (2, 2), 9, 4, _TAPS_STRIDE_2, exact=True),
    Core("dsp"),
)


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
    window = op.window(w.shape).on(site)
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


def tiling(site: Site, core: Core) -> Tiling:
    """Choose lines, bands and chunks."""
    vertical, horizontal = _axes(site)
    most = core.out_rows or _BAND
    # Columns as lines only if one band has them all: bands must leave whole rows behind.
    swap = horizontal.out <= most and _waste(horizontal, vertical) < _waste(vertical, horizontal)
    across, along = (horizontal, vertical) if swap else (vertical, horizontal)
    bands = -(-across.out // most)
    band = -(-across.out // bands)
    if bands > 1:
        band = min(most, band + band % 2)
    rows, out_rows = core.rows or across.rows(band), core.out_rows or band
    pairs = -(-along.out // 2)
    for chunks in range(1, pairs + 1):
        chunk = 2 * -(-pairs // chunks)
        found = Tiling(across, along, swap, band, chunk, rows, out_rows)
        if found.scratch <= (_LEAN_CHUNK_BYTES if site.lean else _CHUNK_BYTES):
            break
    return found


def _waste(across: Axis, along: Axis) -> int:
    """Outputs that are computed, those beyond the image too."""
    return across.out * (along.out + along.out % 2)


def guard(site: Site, core: Core) -> str | None:
    """Why a core cannot compute this site, or None."""
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
    sizes = (*x[1:3], x[2] * x[3], site.output.shape[2] * x[3])
    if max(sizes) > _MAX_SIZE or max(op.stride_h, op.stride_w) > _MAX_STRIDE:
        return f"a row takes more than {_MAX_SIZE} bytes, or a stride is over {_MAX_STRIDE}"
    if core.window and (w[1:3] != core.window or (op.stride_h, op.stride_w) != core.stride):
        return f"the window is not {core.name}"
    layer = _paired.layer(site)
    refusal = layer.refusal()
    if refusal is not None or core.exact is None:
        return refusal
    if core.exact == layer.factors(site.optimize != "flash")[1]:
        return "a line does" if core.exact else "rounding twice takes more than a line"
    return None


def pairs_of_taps(across: Axis, along: Axis) -> list[tuple[int, int]]:
    """Taps (-1 for none) of a window on each word that a line of it may lie on.

    For each word two pairs: of a window that begins with a word, and of one that begins with the
    second value of a word.
    """

    def tap(line: int, i: int) -> int:
        return line * along.kernel + i if 0 <= i < along.kernel else -1

    return [
        (tap(line, 2 * word - late), tap(line, 2 * word + 1 - late))
        for line in range(across.kernel)
        for word in range(along.words)
        for late in (0, 1)
    ]


def params(site: Site, core: Core) -> Mapping[str, Param]:
    """Fields of sm_depthwise_dsp_params."""
    cut = tiling(site, core)
    across, along = cut.across, cut.along
    taps = core.taps or pairs_of_taps(across, along)
    layer = _paired.layer(site)
    factors, straight = layer.factors(site.optimize != "flash")
    shifts = None if straight else -layer.shift - 1
    kernel = site.input(1).shape[1:3]
    weights = layer.weights.reshape(-1, *kernel)
    if cut.swapped:
        weights = weights.swapaxes(1, 2)
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
        # None is read as tap 0, and masked.
        "taps": np.where(np.array(taps) < 0, -128, taps).astype(np.int8),
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


def scratch(site: Site, core: Core) -> int:
    """Bytes of scratch: weights of four channels, the tile and its outputs."""
    cut = tiling(site, core)
    return 16 * len(core.taps or pairs_of_taps(cut.across, cut.along)) + cut.scratch


def overhead(site: Site) -> float:
    """Estimated cycles of unpacking weights, and rows that the next call unpacks once more."""
    op, x = site.op, site.input(0)
    assert isinstance(op, _conv.Convolution)
    window = op.rows(*site.inputs)[0]
    again = max(0, window.extent - window.stride) * x.bytes // x.shape[1]
    return 150 + 45 * site.input(1).size + 6 * again


def in_place(site: Site, core: Core) -> int | None:
    """The output may take the input's place if there is one band and both have one shape."""
    cut = tiling(site, core)
    same = site.input(0).shape == site.output.shape
    strides = cut.across.stride, cut.along.stride
    return 0 if same and strides == (1, 1) and cut.band == cut.across.out else None


def overlap(site: Site, core: Core) -> Mapping[int, int]:
    """A band's outputs may lie over what no window of this band or of a later one lies on."""
    cut = tiling(site, core)
    across = cut.across
    if cut.band == across.out:  # see in_place
        return {}
    starts = np.arange(0, across.out, cut.band)
    written = np.minimum(starts + cut.band, across.out) * across.out_step
    needed = np.clip(starts * across.stride - across.pad, 0, None) * across.step
    return {0: max(0, int((written - needed).max()))}


def kernel(core: Core) -> Kernel:
    """The kernel that computes tiles with a core."""
    symbol = f"depthwise_conv_2d_int8_{core.name}"
    return Kernel(
        f"sm_{symbol}",
        f"{symbol}.h",
        guard=lambda site: guard(site, core),
        params=lambda site: params(site, core),
        arguments=(0,),
        struct="sm_depthwise_dsp_params",
        scratch=lambda site: scratch(site, core),
        overlap=lambda site: overlap(site, core),
        in_place=lambda site: in_place(site, core),
        overhead=overhead,
    )
