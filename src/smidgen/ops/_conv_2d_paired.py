"""The kernels of CONV_2D with paired weights: when they apply, what they are told, what they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smidgen.ops import _conv, _paired, _probe
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._sample import Sample
from smidgen.ops._window import Window

_MAX_SIZE, _MAX_WINDOW = 65535, 255  # what fields of sm_conv_2d_paired_params hold
_MAX_PIXELS = 16  # SM_CONV_2D_MAX_PIXELS
_COLUMN_BYTES = 512  # that blocks of several pairs may take: more pairs save less and less


def window_of(site: Site) -> Window:
    """The window of a convolution on its image, which may be some rows of a larger one."""
    assert isinstance(site.op, _conv.Convolution)
    return site.op.window(site.input(1).shape).on(site)


def dsp_guard(site: Site) -> str | None:
    """Why no DSP kernel of CONV_2D with int8 weights can compute this site, or None."""
    return _conv.int8_guard(site) or _window_guard(site)


def _window_guard(site: Site) -> str | None:
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    if site.input(0).shape[3] != site.input(1).shape[3]:
        return "the convolution is grouped"
    window = window_of(site)
    if any(d > 1 and k > 1 for d, k in zip(window.dilation, window.kernel, strict=True)):
        return "the window is dilated"
    sizes = (*site.input(0).shape, *site.output.shape, _steps(site))
    if max(sizes) > _MAX_SIZE or max(*window.kernel, *window.stride) > _MAX_WINDOW:
        return f"a size is over {_MAX_SIZE}, or the window over {_MAX_WINDOW}"
    return None


def _guard(site: Site) -> str | None:
    return dsp_guard(site) or _paired.refusal(site)


def _guard_int4(site: Site) -> str | None:
    return _conv.int4_guard(site) or _window_guard(site) or _paired.refusal(site)


def _guard_1x1(site: Site) -> str | None:
    refusal = dsp_guard(site)
    if refusal is not None:
        return refusal
    window = window_of(site)
    if window.kernel != (1, 1) or window.stride != (1, 1):
        return "the window is not one pixel after the other"
    return _fours(site) or _paired.refusal(site)


def _guard_strips(site: Site) -> str | None:
    refusal = dsp_guard(site)
    if refusal is not None:
        return refusal
    window = window_of(site)
    if window.kernel[1] == 1 or window.stride[1] > 1:
        return "windows do not share columns"
    return _fours(site) or _paired.refusal(site)


def _fours(site: Site) -> str | None:
    return "channels are no multiple of four" if site.input(0).shape[3] % 4 else None


def _params(site: Site, *, by_column: bool = False) -> Mapping[str, Param]:
    x, w, out = site.input(0), site.input(1), site.output
    window = window_of(site).params(x, out)
    packed = _paired.pack(site, by_column=by_column)
    return {
        **{key: window[key] for key in ("in_h", "in_w", "in_c", "out_h", "out_w")},
        "out_c": out.shape[3],
        **{
            f"{key}_{axis}": window[f"{key}_{axis}"]
            for key in ("kernel", "stride", "pad")
            for axis in "hw"
        },
        "steps": packed.steps,
        "pairs": _strip_pairs(site) if by_column else _pairs(site),
        "padding": site.quant(0).zero_point,
        "exact": int(packed.exact),
        "half_point": 2 * packed.zero_point + 1,
        "clamp": int(packed.clamp),
        "act_min": packed.bounds[0],
        "act_max": packed.bounds[1],
        "tail_stream": w.shape[0] // 4 * packed.group_words,
        "stream": packed.stream,
    }


def _strip_params(site: Site) -> Mapping[str, Param]:
    return _params(site, by_column=True)


def _depth(site: Site) -> int:
    _, kernel_h, kernel_w, in_c = site.input(1).shape
    return kernel_h * kernel_w * in_c


def _steps(site: Site) -> int:
    return _paired.step_count(_depth(site))


def _pairs(site: Site) -> int:
    """Pairs of pixels at a time: more save time, and take little memory where pixels are small."""
    most = 1 if site.lean else _MAX_PIXELS // 2
    return max(1, min(most, _COLUMN_BYTES // (8 * _steps(site))))


def _strip_bytes(site: Site) -> int:
    _, kernel_h, _, in_c = site.input(1).shape
    return 4 * kernel_h * in_c


def _strip_pairs(site: Site) -> int:
    """Two to four: the first strips of a block are not shared with the one before."""
    most = 1 if site.lean else -(-site.output.shape[2] // 2)
    return max(1, min(most, 4 if _strip_bytes(site) <= 192 else 2))


def _scratch(site: Site) -> int:
    starts = 32 if site.input(1).dtype == "int4" else 0
    rests = 3 * site.input(1).shape[1] + 6
    return (8 * _steps(site) + starts) * _pairs(site) + _depth(site) + rests


def _scratch_1x1(site: Site) -> int:
    return 8 * _steps(site) * _pairs(site)


def _scratch_strips(site: Site) -> int:
    return _strip_bytes(site) * (2 * _strip_pairs(site) + site.input(1).shape[2])


def _overlap(site: Site) -> Mapping[int, int]:
    lead = _paired.block_lead(window_of(site), site.input(0), site.output, 2 * _pairs(site))
    return {0: lead}


def _overlap_strips(site: Site) -> Mapping[int, int]:
    block = 2 * _strip_pairs(site)
    window = window_of(site)
    return {0: _paired.block_lead(window, site.input(0), site.output, block, by_row=True)}


# -- what takes time -------------------------------------------------------------------------------


def _product(site: Site, pixels: int, calls: int) -> dict[str, float]:
    """The work from columns to outputs of so many pixels, in so many blocks."""
    groups = -(-site.output.shape[3] // 4)
    blocks = -(-pixels // 2) * groups
    _, lines = _paired.layer(site).factors()
    return {"block": calls, "line" if lines else "exact": blocks, "step": blocks * _steps(site)}


def _work(site: Site) -> Mapping[str, float]:
    _, kernel_h, kernel_w, in_c = site.input(1).shape
    _, out_h, out_w, _ = site.output.shape
    pixels = out_h * out_w
    copied = pixels if kernel_w * in_c % 4 else 0
    return {
        "pixel": pixels,
        "row": pixels * kernel_h,
        "value": pixels * _depth(site),
        "copied": copied * kernel_h,
        **_product(site, pixels, -(-pixels // (2 * _pairs(site)))),
    }


def _work_1x1(site: Site) -> Mapping[str, float]:
    _, out_h, out_w, _ = site.output.shape
    pixels = out_h * out_w
    blocks = -(-pixels // (2 * _pairs(site)))
    return {
        "pair": -(-pixels // 2),
        "value": pixels * _depth(site),
        **_product(site, pixels, blocks),
    }


def _work_strips(site: Site) -> Mapping[str, float]:
    _, kernel_h, kernel_w, in_c = site.input(1).shape
    _, out_h, out_w, _ = site.output.shape
    block = 2 * _strip_pairs(site)
    blocks = out_h * -(-out_w // block)
    even = -(-out_w // 2) * 2
    strips = out_h * even + blocks * (kernel_w - 1)
    return {
        "row": strips * kernel_h,
        "value": strips * kernel_h * in_c,
        **_product(site, out_h * even, blocks),
    }


def probe(
    x_shape: tuple[int, int, int], w_shape: tuple[int, int, int], stride: int = 1, point: int = -128
) -> Sample:
    """A padded convolution of an image (h, w, c) with windows (channels, h, w), to be measured."""
    from smidgen.ops.conv_2d import Conv2D  # which names these kernels

    op = Conv2D(stride, stride, "SAME", "RELU" if point == -128 else "NONE")
    return _probe.weighted(op, (1, *x_shape), (*w_shape, x_shape[2]), point)


def _probes() -> Iterator[Sample]:
    for point in (-128, 0):
        yield probe((24, 24, 3), (16, 3, 3), stride=2, point=point)
        yield probe((24, 24, 3), (8, 3, 3), point=point)
        yield probe((24, 10, 1), (64, 10, 4), stride=2, point=point)
        yield probe((16, 16, 16), (32, 3, 3), stride=2, point=point)
        yield probe((16, 16, 32), (64, 1, 1), stride=2, point=point)
        yield probe((6, 6, 33), (12, 1, 1), point=point)


def _probes_1x1() -> Iterator[Sample]:
    for point in (-128, 0):
        for size, x_c, out_c in ((25, 8, 16), (12, 32, 64), (7, 64, 64), (5, 128, 16), (16, 12, 8)):
            yield probe((size, size, x_c), (out_c, 1, 1), point=point)


def _probes_strips() -> Iterator[Sample]:
    for point in (-128, 0):
        for size, x_c, out_c in ((20, 16, 16), (16, 32, 32), (8, 64, 64), (9, 8, 12), (13, 48, 8)):
            yield probe((size, size, x_c), (out_c, 3, 3), point=point)


_STRUCT = "sm_conv_2d_paired_params"

KERNELS = (
    Kernel(
        "sm_conv_2d_int8_paired_1x1",
        "conv_2d_int8_paired_1x1.h",
        guard=_guard_1x1,
        params=_params,
        arguments=(0,),
        struct=_STRUCT,
        scratch=_scratch_1x1,
        overlap=_overlap,
        work=_work_1x1,
        probes=_probes_1x1,
    ),
    Kernel(
        "sm_conv_2d_int8_paired_strips",
        "conv_2d_int8_paired_strips.h",
        guard=_guard_strips,
        params=_strip_params,
        arguments=(0,),
        struct=_STRUCT,
        scratch=_scratch_strips,
        overlap=_overlap_strips,
        work=_work_strips,
        probes=_probes_strips,
    ),
    Kernel(
        "sm_conv_2d_int8_paired",
        "conv_2d_int8_paired.h",
        guard=_guard,
        params=_params,
        arguments=(0,),
        struct=_STRUCT,
        scratch=_scratch,
        overlap=_overlap,
        work=_work,
        probes=_probes,
    ),
)

INT4_KERNEL = Kernel(
    "sm_conv_2d_int4_paired",
    "conv_2d_int4_paired.h",
    guard=_guard_int4,
    params=_params,
    arguments=(0,),
    struct=_STRUCT,
    scratch=_scratch,
    overlap=_overlap,
)
