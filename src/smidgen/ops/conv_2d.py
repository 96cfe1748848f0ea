"""CONV_2D: grouped and dilated convolution. Input NHWC, weights OHWI, bias (O,) or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _conv, _window
from smidgen.ops._activation import (
    check_activation,
    float_activation,
    float_bounds,
    read_activation,
)
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    NOT_TRAINABLE_YET,
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    unsupported,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _geometry(site: Site) -> dict[str, Param]:
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, Conv2D)
    _, out_h, out_w, out_c = site.output.shape
    pad_h, pad_w = op.pad(x.shape, w.shape, site.output.shape)
    groups = x.shape[3] // w.shape[3]
    return {
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "in_c": x.shape[3],
        "out_h": out_h,
        "out_w": out_w,
        "out_c": out_c,
        "kernel_h": w.shape[1],
        "kernel_w": w.shape[2],
        "group_in_c": w.shape[3],
        "group_out_c": out_c // groups,
        "stride_h": op.stride_h,
        "stride_w": op.stride_w,
        "dilation_h": op.dilation_h_factor,
        "dilation_w": op.dilation_w_factor,
        "pad_h": pad_h,
        "pad_w": pad_w,
    }


def _int8_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Conv2D)
    return {
        **_geometry(site),
        **_conv.int8_params(site, site.op.fused_activation_function, channels=site.output.shape[3]),
        "weights": site.constant(1),
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Conv2D)
    low, high = float_bounds(site.op.fused_activation_function)
    bias = site.constants[2] if len(site.constants) > 2 else None
    return {**_geometry(site), "act_min": low, "act_max": high, "bias": bias,
            "weights": site.constant(1)}  # fmt: skip


def _overlap(site: Site) -> Mapping[int, int]:
    op, x = site.op, site.input(0)
    assert isinstance(op, Conv2D)
    pad = op.pad(x.shape, site.input(1).shape, site.output.shape)
    size = x.bytes // x.size
    stride = (op.stride_h, op.stride_w)
    return {0: _window.window_lead(x.shape, site.output.shape, stride, pad, size)}


@dataclass(frozen=True)
class Conv2D(Op):
    """Convolution of (n, h, w, ci) with (co, kh, kw, ci / groups), plus bias, then activation.

    The number of groups follows from the shapes, as in LiteRT: input channels divided by the
    weights' last axis.
    """

    name: ClassVar[str] = "CONV_2D"

    stride_h: int = 1
    stride_w: int = 1
    padding: str = "VALID"
    fused_activation_function: str = "NONE"
    dilation_h_factor: int = 1
    dilation_w_factor: int = 1

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        x, w = _conv.image_and_weights(types)
        if w.shape[3] == 0 or x.shape[3] % w.shape[3]:
            raise ValueError(
                f"{x.shape[3]} input channels are no multiple of the weights' {w.shape[3]}"
            )
        if w.shape[0] % (x.shape[3] // w.shape[3]):
            raise ValueError(
                f"{w.shape[0]} output channels do not divide into {x.shape[3] // w.shape[3]} groups"
            )
        _conv.check_bias(types, w.shape[0])
        out_h = _window.output_size(
            x.shape[1], w.shape[1], self.stride_h, self.dilation_h_factor, self.padding
        )
        out_w = _window.output_size(
            x.shape[2], w.shape[2], self.stride_w, self.dilation_w_factor, self.padding
        )
        return (TensorType((x.shape[0], out_h, out_w, w.shape[0]), x.dtype),)

    def pad(self, x: tuple[int, ...], w: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, int]:
        """Padding (top, left) for these shapes."""
        if self.padding == "VALID":
            return (0, 0)
        return (
            _window.pad_before(x[1], out[1], w[1], self.stride_h, self.dilation_h_factor),
            _window.pad_before(x[2], out[2], w[2], self.stride_w, self.dilation_w_factor),
        )

    def _convolve(self, x: Array, w: Array, border: float) -> Array:
        """Products and sums only, in the arrays' own float dtype."""
        stride, dilation = (
            (self.stride_h, self.stride_w),
            (self.dilation_h_factor, self.dilation_w_factor),
        )
        kernel = (w.shape[1], w.shape[2])
        out_hw = (
            _window.output_size(x.shape[1], kernel[0], stride[0], dilation[0], self.padding),
            _window.output_size(x.shape[2], kernel[1], stride[1], dilation[1], self.padding),
        )
        padded = (
            _window.pad_image(x, out_hw, kernel, stride, dilation, border)
            if self.padding == "SAME"
            else x
        )
        depth = w.shape[3]
        groups = x.shape[3] // depth
        outs = w.shape[0] // groups
        result = np.zeros((x.shape[0], *out_hw, w.shape[0]), x.dtype)
        for ky, kx, view in _window.taps(padded, out_hw, kernel, stride, dilation):
            for g in range(groups):
                part = w[g * outs : (g + 1) * outs, ky, kx, :].T
                result[..., g * outs : (g + 1) * outs] += (
                    view[..., g * depth : (g + 1) * depth] @ part
                )
        return result

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, w, bias = _conv.three(arrays)
        y = self._convolve(x, w, 0.0)
        if bias is not None:
            y = y + bias
        return (float_activation(y, self.fused_activation_function).astype(np.float32),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, w, bias = _conv.three(arrays)
        # float64 sums of int8 products are exact far beyond any layer's size, and fast.
        centred = x.astype(np.float64) - types.zero_point(0)
        acc = self._convolve(centred, w.astype(np.float64), 0.0).astype(np.int64)
        return (_conv.finish_int(acc, bias, types, self.fused_activation_function, rounding),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.WEIGHT, Role.BIAS), weight_axis=0)

    torch_lower = unsupported(NOT_TRAINABLE_YET)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o = node.options
        op = cls(
            o["stride_h"],
            o["stride_w"],
            o["padding"],
            read_activation(o["fused_activation_function"]),
            o["dilation_h_factor"],
            o["dilation_w_factor"],
        )
        return op, _conv.operands(node)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "padding": self.padding,
            "stride_w": self.stride_w,
            "stride_h": self.stride_h,
            "fused_activation_function": self.fused_activation_function,
            "dilation_w_factor": self.dilation_w_factor,
            "dilation_h_factor": self.dilation_h_factor,
        }
        return TfliteOp("Conv2DOptions", fields, (0, 1, 2))

    def tflite_version(self, types: NodeTypes) -> int:
        x, w = types.inputs[0], types.inputs[1]
        assert x is not None and w is not None
        if x.shape[3] != w.shape[3]:
            return 6
        return {"int8": 3, "int16": 4}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_conv_2d_int8",
            "conv_2d_int8.h",
            guard=_conv.int8_guard,
            params=_int8_params,
            arguments=(0,),
            overlap=_overlap,
        ),
        Kernel(
            "sm_conv_2d_float32",
            "conv_2d_float32.h",
            guard=_conv.float_guard,
            params=_float_params,
            arguments=(0,),
            overlap=_overlap,
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
            return draw(_draw.weighted(op, (1, *size, ci), (co, *kernel, ci // groups), axis=0))

        return draw_sample()
