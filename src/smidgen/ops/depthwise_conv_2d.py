"""DEPTHWISE_CONV_2D: each channel on its own. Input NHWC, weights (1, kh, kw, ci * multiplier)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ops import _conv, _depthwise, _host, _int16, _lanes, _torch, _window
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _depth_multiplier(x: TensorType, w: TensorType) -> int:
    return w.shape[3] // x.shape[3]


def _int8_params(site: Site) -> Mapping[str, Param]:
    multiplier = _depth_multiplier(site.input(0), site.input(1))
    return _conv.window_int8_params(site, depth_multiplier=multiplier)


def _int16_params(site: Site) -> Mapping[str, Param]:
    multiplier = _depth_multiplier(site.input(0), site.input(1))
    return _int16.window_params(site, depth_multiplier=multiplier)


def _float_params(site: Site) -> Mapping[str, Param]:
    multiplier = _depth_multiplier(site.input(0), site.input(1))
    return _conv.window_float_params(site, depth_multiplier=multiplier)


@dataclass(frozen=True)
class DepthwiseConv2D(_conv.Convolution):
    """Convolution of (n, h, w, ci) with (1, kh, kw, co), plus bias, then activation.

    Input channel c alone makes the output channels from c * m on, m of them. The depth multiplier
    m follows from the shapes: co / ci.
    """

    name: ClassVar[str] = "DEPTHWISE_CONV_2D"
    weight_zero_points: ClassVar[bool] = True
    accumulator: ClassVar[str] = "int32"
    weight_axis: ClassVar[int] = 3
    channelwise: ClassVar[bool] = True

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x, w = _conv.image_and_weights(types)
        if w.shape[0] != 1 or w.shape[3] % x.shape[3]:
            raise ValueError(
                f"weights of shape {w.shape} for {x.shape[3]} input channels; "
                "must be (1, h, w, a multiple of the channels)"
            )
        if x.dtype == "int16" and not _conv.is_wide(types):
            raise ValueError("the bias is int32; runtimes read it as int64 where inputs are int16")
        return self.result(types, w.shape[3])

    def torch_accumulate(self, x: Any, w: Any, bias: Any) -> Any:
        weights = w.permute(3, 0, 1, 2)
        return _torch.convolve(x, weights, bias, self.window(w.shape), x.shape[3])

    def accumulate(self, x: Array, w: Array) -> Array:
        window = self.window(w.shape)
        channels = x.shape[3]
        shape = (x.shape[0], *window.positions(x.shape), channels, w.shape[3] // channels)
        acc = np.zeros(shape, x.dtype)
        for ky, kx, view in window.taps(x, 0):
            acc += view[..., None] * w[0, ky, kx].reshape(channels, -1)
        return acc.reshape(*shape[:3], w.shape[3])

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        x, w = _conv.image_and_weights(node.types)
        stated = node.options["depth_multiplier"]
        if stated * x.shape[3] != w.shape[3]:
            raise UnsupportedModelError(
                f"depth multiplier {stated} does not make {w.shape[3]} channels of {x.shape[3]}"
            )
        return super().tflite_read(node)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        x, w = _conv.image_and_weights(types.inputs)
        fields = {**self.fields(), "depth_multiplier": _depth_multiplier(x, w)}
        operands: tuple[int | Array, ...] = _conv.written(types)
        if len(operands) == 2:  # LiteRT with XNNPACK crashes without a bias
            operands = (*operands, _conv.filler(types, w.shape[3]))
        return TfliteOp("DepthwiseConv2DOptions", fields, operands)

    def tflite_version(self, types: NodeTypes) -> int:
        if types.dtype == "int16":
            return 5
        if types.dtype == "int8":
            weights = types.inputs[1]
            # Converters write 7 for int4, but LiteRT's reference kernels, which compute it, are
            # registered for versions up to 6.
            return 6 if weights is not None and weights.dtype == "int4" else 3
        return 2 if (self.dilation_h_factor, self.dilation_w_factor) != (1, 1) else 1

    kernels = (
        *map(_depthwise.kernel, _depthwise.CORES),
        Kernel(
            "sm_depthwise_conv_2d_int8_host",
            "depthwise_conv_2d_int8_host.h",
            guard=_host.depthwise_guard,
            params=_host.depthwise_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int8_lanes",
            "depthwise_conv_2d_int8_lanes.h",
            guard=_lanes.in_place_guard,
            params=_lanes.in_place_params,
            arguments=(0,),
            scratch=_lanes.in_place_scratch,
            in_place=lambda site: 0,
            overhead=_lanes.depthwise_overhead,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int8_lanes",
            "depthwise_conv_2d_int8_lanes.h",
            guard=_lanes.depthwise_guard,
            params=_lanes.depthwise_params,
            arguments=(0,),
            scratch=_lanes.depthwise_scratch,
            overlap=_lanes.depthwise_overlap,
            overhead=_lanes.depthwise_overhead,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int8",
            "depthwise_conv_2d_int8.h",
            guard=_conv.int8_guard,
            params=_int8_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int4",
            "depthwise_conv_2d_int4.h",
            guard=_conv.int4_guard,
            params=_int8_params,
            arguments=(0,),
            struct="sm_depthwise_conv_2d_int8_params",
            scratch=lambda site: site.input(1).size,
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int8_offset",
            "depthwise_conv_2d_int8_offset.h",
            guard=_conv.offset_guard,
            params=lambda site: _conv.offset_params(_int8_params(site), site),
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int16_dsp",
            "depthwise_conv_2d_int16_dsp.h",
            guard=_int16.depthwise_dsp_guard,
            params=lambda site: _int16.with_words(_int16_params(site)),
            arguments=(0,),
            struct="sm_depthwise_conv_2d_int16_params",
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_int16",
            "depthwise_conv_2d_int16.h",
            guard=_int16.guard,
            params=_int16_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
        Kernel(
            "sm_depthwise_conv_2d_float32",
            "depthwise_conv_2d_float32.h",
            guard=_conv.float_guard,
            params=_float_params,
            arguments=(0,),
            overlap=_conv.window_overlap,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x, w = _conv.image_and_weights(types)
        m = _depth_multiplier(x, w)
        members = (
            AxisRef(0, 3),
            AxisRef(1, 3, repeat=m),
            AxisRef(2, 0, repeat=m),
            AxisRef(-1, 3, repeat=m),
        )
        return (Coupling(x.shape[3], members),)

    def macs(self, *types: TensorType | None) -> int:
        _, w = _conv.image_and_weights(types)
        _, h, width, channels = self.infer(*types)[0].shape
        return h * width * channels * w.shape[1] * w.shape[2]

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            multiplier = draw(st.sampled_from((1, 1, 1, 2, 3, 8)))
            channels = draw(st.integers(1, 67 if multiplier == 1 else 9))
            kernel = draw(_draw.kernel_size())
            dilation = draw(st.sampled_from(((1, 1), (1, 1), (2, 1), (2, 3))))
            stride = draw(st.sampled_from(((1, 1), (2, 2), (1, 2), (3, 1))))
            padding = draw(st.sampled_from(_window.PADDINGS))
            size = draw(_draw.image_size(kernel, dilation))
            op = cls(*stride, padding, draw(_draw.activation()), *dilation)
            weights = (1, *kernel, channels * multiplier)
            return draw(_draw.weighted(op, (1, *size, channels), weights, 3, wide_bias=("int64",)))

        return draw_sample()
