"""CONV_2D: grouped and dilated convolution. Input NHWC, weights OHWI, bias (O,) or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _conv, _conv_2d_paired, _host, _int16, _lanes, _torch, _window, _winograd
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, TfliteOp
from smidgen.ops._sample import Sample

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]


def _channels(site: Site) -> dict[str, Param]:
    x, w = site.input(0).shape, site.input(1).shape
    groups = x[3] // w[3]
    return {"out_c": w[0], "group_in_c": w[3], "group_out_c": w[0] // groups}


def _int8_params(site: Site) -> Mapping[str, Param]:
    return _conv.window_int8_params(site, **_channels(site))


def _float_params(site: Site) -> Mapping[str, Param]:
    return _conv.window_float_params(site, **_channels(site))


@dataclass(frozen=True)
class Conv2D(_conv.Convolution):
    """Convolution of (n, h, w, ci) with (co, kh, kw, ci / groups), plus bias, then activation.

    The number of groups follows from the shapes, as in LiteRT: input channels divided by the
    weights' last axis.
    """

    name: ClassVar[str] = "CONV_2D"
    weight_zero_points: ClassVar[bool] = True
    accumulator: ClassVar[str] = "float64"  # matrix products of floats are the fast ones
    weight_axis: ClassVar[int] = 0

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x, w = _conv.image_and_weights(types)
        if x.shape[3] % w.shape[3]:
            raise ValueError(
                f"{x.shape[3]} input channels are no multiple of the weights' {w.shape[3]}"
            )
        groups = x.shape[3] // w.shape[3]
        if w.shape[0] % groups:
            raise ValueError(f"{w.shape[0]} output channels do not divide into {groups} groups")
        return self.result(types, w.shape[0])

    def torch_accumulate(self, x: Any, w: Any, bias: Any) -> Any:
        groups = x.shape[3] // w.shape[3]
        return _torch.convolve(x, w.permute(0, 3, 1, 2), bias, self.window(w.shape), groups)

    def accumulate(self, x: Array, w: Array) -> Array:
        window = self.window(w.shape)
        depth = w.shape[3]
        groups = x.shape[3] // depth
        outs = w.shape[0] // groups
        acc = np.zeros((x.shape[0], *window.positions(x.shape), w.shape[0]), x.dtype)
        for ky, kx, view in window.taps(x, 0):
            for g in range(groups):
                ours = slice(g * outs, (g + 1) * outs)
                acc[..., ours] += view[..., g * depth : (g + 1) * depth] @ w[ours, ky, kx].T
        return acc

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        operands: tuple[int | Array, ...] = _conv.written(types)
        if len(operands) == 2:  # LiteRT asks for a bias
            operands = (*operands, _conv.filler(types, types.outputs[0].shape[3]))
        return TfliteOp("Conv2DOptions", {**self.fields(), **_conv.bias_field(types)}, operands)

    def tflite_version(self, types: NodeTypes) -> int:
        x, w = _conv.image_and_weights(types.inputs)
        if w.dtype == "int4":
            return 7
        if _conv.bias_field(types):
            return 8
        if x.shape[3] != w.shape[3]:
            return 6
        return {"int8": 3, "int16": 4}.get(types.dtype, 1)

    kernels = (
        *_conv_2d_paired.KERNELS,
        _winograd.KERNEL,
        Kernel(
            "sm_conv_2d_int8_host",
            "conv_2d_int8_host.h",
            guard=_host.conv_guard,
            params=_host.conv_params,
            arguments=(0,),
            scratch=_host.conv_scratch,
            overlap=_host.conv_overlap,
        ),
        Kernel(
            "sm_conv_2d_int8_lanes",
            "conv_2d_int8_lanes.h",
            guard=lambda site: _conv.int8_guard(site) or _lanes.conv_guard(site),
            params=_lanes.conv_params,
            arguments=(0,),
            scratch=_lanes.conv_scratch,
            overlap=_lanes.conv_overlap,
        ),
        Kernel(
            "sm_conv_2d_int8",
            "conv_2d_int8.h",
            guard=_conv.int8_guard,
            params=_int8_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        _conv_2d_paired.INT4_KERNEL,
        Kernel(
            "sm_conv_2d_int4_lanes",
            "conv_2d_int4_lanes.h",
            guard=lambda site: _conv.int4_guard(site) or _lanes.conv_guard(site),
            params=_lanes.conv_params,
            arguments=(0,),
            struct="sm_conv_2d_int8_lanes_params",
            scratch=_lanes.conv_scratch,
            overlap=_lanes.conv_overlap,
        ),
        Kernel(
            "sm_conv_2d_int4",
            "conv_2d_int4.h",
            guard=_conv.int4_guard,
            params=_int8_params,
            arguments=(0,),
            struct="sm_conv_2d_int8_params",
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_conv_2d_int8_offset",
            "conv_2d_int8_offset.h",
            guard=_conv.offset_guard,
            params=lambda site: _conv.offset_params(_int8_params(site), site),
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_conv_2d_int16_dsp",
            "conv_2d_int16_dsp.h",
            guard=_int16.conv_dsp_guard,
            params=_int16.conv_dsp_params,
            arguments=(0,),
            scratch=_int16.conv_dsp_scratch,
            overlap=_int16.conv_dsp_overlap,
        ),
        Kernel(
            "sm_conv_2d_int16",
            "conv_2d_int16.h",
            guard=_int16.guard,
            params=lambda site: _int16.window_params(site, **_channels(site)),
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_conv_2d_float32",
            "conv_2d_float32.h",
            guard=_conv.float_guard,
            params=_float_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x, w = _conv.image_and_weights(types)
        groups = x.shape[3] // w.shape[3]
        if groups > 1:  # a whole group goes at a time: its inputs, its filters and its outputs
            outs = w.shape[0] // groups
            members = (
                AxisRef(0, 3, repeat=w.shape[3]),
                AxisRef(1, 0, repeat=outs),
                AxisRef(2, 0, repeat=outs),
                AxisRef(-1, 3, repeat=outs),
            )
            return (Coupling(groups, members),)
        return (
            Coupling(w.shape[0], (AxisRef(1, 0), AxisRef(2, 0), AxisRef(-1, 3)), source=True),
            Coupling(x.shape[3], (AxisRef(0, 3), AxisRef(1, 3))),
        )

    def macs(self, *types: TensorType | None) -> int:
        _, w = _conv.image_and_weights(types)
        _, h, width, channels = self.infer(*types)[0].shape
        return h * width * channels * w.shape[1] * w.shape[2] * w.shape[3]

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
            ci = groups * draw(st.integers(1, 67 if groups == 1 else 8))
            co = groups * draw(st.integers(1, 67 if groups == 1 else 8))
            kernel = draw(_draw.kernel_size())
            dilation = draw(st.sampled_from(((1, 1), (1, 1), (2, 1), (2, 3))))
            stride = draw(st.sampled_from(((1, 1), (2, 2), (1, 2), (3, 1))))
            padding = draw(st.sampled_from(_window.PADDINGS))
            size = draw(_draw.image_size(kernel, dilation))
            op = cls(*stride, padding, draw(_draw.activation()), *dilation)
            return draw(
                _draw.weighted(
                    op, (1, *size, ci), (co, *kernel, ci // groups), 0, wide_bias=_conv.WIDE
                )
            )

        return draw_sample()
