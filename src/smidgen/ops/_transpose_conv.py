"""What TRANSPOSE_CONV's kernels take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smidgen.ops import _conv
from smidgen.ops._kernel import Param, Site

if TYPE_CHECKING:
    from smidgen.ops.transpose_conv import TransposeConv


def _sizes(site: Site) -> dict[str, Param]:
    op: TransposeConv = site.op  # type: ignore[assignment]
    x, w = site.input(0).shape, site.input(1).shape
    top, left = op.window(w).pad(op.image(w))
    return {
        "in_h": x[1],
        "in_w": x[2],
        "in_c": x[3],
        "out_h": op.output_height,
        "out_w": op.output_width,
        "out_c": w[0],
        "kernel_h": w[1],
        "kernel_w": w[2],
        "stride_h": op.stride_h,
        "stride_w": op.stride_w,
        "pad_h": top,
        "pad_w": left,
    }


def int8_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_int8_params`."""
    return {**_sizes(site), **_conv.int8_params(site)}


def float_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_transpose_conv_float32_params`."""
    return {**_sizes(site), **_conv.float_params(site)}
