"""TRANSPOSE_CONV: a convolution that makes images larger. NHWC, weights OHWI, bias (O,) or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ops import _conv, _int16, _torch, _transpose_conv
from smidgen.ops._activation import check_activation, read_activation
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._window import PADDINGS, Window, output_size

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TransposeConv(_conv.Weighted):
    """Every pixel of (n, h, w, ci) adds itself times (co, kh, kw, ci) to a window of the output.

    The windows are those that a convolution with the same stride and padding slides over the
    *output*, which is of `output_height` and `output_width`: several sizes lead to one input.
    What windows add outside of it is dropped. Then the bias is added and the activation applied.
    """

    name: ClassVar[str] = "TRANSPOSE_CONV"
    accumulator: ClassVar[str] = "float64"  # matrix products of floats are the fast ones
    weight_axis: ClassVar[int] = 0

    output_height: int = 1
    output_width: int = 1
    stride_h: int = 1
    stride_w: int = 1
    padding: str = "VALID"
    fused_activation_function: str = "NONE"

    def window(self, w: tuple[int, ...]) -> Window:
        """The window that weights of shape `w` slide over the output."""
        return Window((w[1], w[2]), (self.stride_h, self.stride_w), (1, 1), self.padding)

    def image(self, w: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Shape of one output of weights of shape `w`."""
        return (1, self.output_height, self.output_width, w[0])

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        x, w = _conv.image_and_weights(types)
        if w.dtype == "int4":
            raise ValueError("weights are int4, which no runtime's TRANSPOSE_CONV takes")
        if x.dtype == "int16" and not _conv.is_wide(types):
            raise ValueError("the bias of int16 activations is int32, where kernels read int64")
        if x.shape[3] != w.shape[3]:
            raise ValueError(f"{x.shape[3]} input channels for weights of shape {w.shape}")
        _conv.check_bias(types, w.shape[0])
        windows = self.window(w.shape).positions(self.image(w.shape))
        if windows != x.shape[1:3]:
            raise ValueError(
                f"an input of {x.shape[1]} x {x.shape[2]} does not become "
                f"{self.output_height} x {self.output_width}: windows of {w.shape[1]} x "
                f"{w.shape[2]} with {self.padding} padding fit {windows[0]} x {windows[1]} times"
            )
        return (TensorType((x.shape[0], *self.image(w.shape)[1:]), x.dtype),)

    def accumulate(self, x: Array, w: Array) -> Array:
        image = self.image(w.shape)
        top, left = self.window(w.shape).pad(image)
        n, rows, columns, _ = x.shape
        high = max((rows - 1) * self.stride_h + w.shape[1], top + image[1])
        wide = max((columns - 1) * self.stride_w + w.shape[2], left + image[2])
        sums = np.zeros((n, high, wide, w.shape[0]), x.dtype)
        for ky in range(w.shape[1]):
            for kx in range(w.shape[2]):
                ys = slice(ky, ky + (rows - 1) * self.stride_h + 1, self.stride_h)
                xs = slice(kx, kx + (columns - 1) * self.stride_w + 1, self.stride_w)
                sums[:, ys, xs] += x @ w[:, ky, kx].T
        return sums[:, top : top + image[1], left : left + image[2]]

    def torch_accumulate(self, x: Any, w: Any, bias: Any) -> Any:
        from torch.nn import functional

        image = self.image(w.shape)
        top, left = self.window(w.shape).pad(image)
        stride = (self.stride_h, self.stride_w)
        y = functional.conv_transpose2d(
            _torch.plain(_torch.channels_first(x)),
            _torch.plain(w.permute(3, 0, 1, 2)),
            stride=stride,
        )
        bottom, right = top + image[1] - y.shape[2], left + image[2] - y.shape[3]
        y = _torch.channels_last(functional.pad(y, (-left, right, -top, bottom)))
        return y if bias is None else y + bias

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        if len(node.types) < 3 or len(node.outputs) != 1 or node.outputs[0].rank != 4:
            raise ValueError("takes a shape, weights, an input and an optional bias")
        _, height, width, _ = node.outputs[0].shape
        stated = node.constants[0]
        if stated is not None and tuple(stated.ravel()[1:3].tolist()) != (height, width):
            raise UnsupportedModelError(
                f"its operand asks for shape {stated.ravel().tolist()}, "
                f"its output is {node.outputs[0].shape}"
            )
        order = (2, 1, *range(3, len(node.types)))
        ours = replace(
            node,
            types=tuple(node.types[i] for i in order),
            constants=tuple(node.constants[i] for i in order),
        )
        o = node.options
        activation = read_activation(o["fused_activation_function"])
        op = cls(height, width, o["stride_h"], o["stride_w"], o["padding"], activation)
        return op, tuple(None if i is None else order[i] for i in _conv.operands(ours))

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "padding": self.padding,
            "stride_w": self.stride_w,
            "stride_h": self.stride_h,
            "fused_activation_function": self.fused_activation_function,
        }
        shape = np.array(types.outputs[0].shape, np.int32)
        bias = _conv.written(types)[2:]
        return TfliteOp("TransposeConvOptions", fields, (shape, 1, 0, *bias))

    def tflite_version(self, types: NodeTypes) -> int:
        if self.fused_activation_function != "NONE":
            return 4
        if len(_conv.written(types)) == 3:
            return 3
        return 2 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_transpose_conv_int8_dsp",
            "transpose_conv_int8_dsp.h",
            guard=_transpose_conv.int8_dsp_guard,
            params=_transpose_conv.int8_dsp_params,
            arguments=(0,),
            scratch=_transpose_conv.int8_dsp_scratch,
        ),
        Kernel(
            "sm_transpose_conv_int8",
            "transpose_conv_int8.h",
            guard=_conv.int8_guard,
            params=_transpose_conv.int8_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_transpose_conv_int16",
            "transpose_conv_int16.h",
            guard=_int16.guard,
            params=_transpose_conv.int16_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_transpose_conv_float32",
            "transpose_conv_float32.h",
            guard=_conv.float_guard,
            params=_transpose_conv.float_params,
            arguments=(0,),
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x, w = _conv.image_and_weights(types)
        return (
            Coupling(w.shape[0], (AxisRef(1, 0), AxisRef(2, 0), AxisRef(-1, 3)), source=True),
            Coupling(x.shape[3], (AxisRef(0, 3), AxisRef(1, 3))),
        )

    def macs(self, *types: TensorType | None) -> int:
        """Those of every pixel with all weights, also where a window reaches over the border."""
        x, w = _conv.image_and_weights(types)
        return x.shape[1] * x.shape[2] * w.size

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            ci, co = draw(st.integers(1, 35)), draw(st.integers(1, 19))
            kernel = draw(st.sampled_from(((1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (5, 2))))
            stride = draw(st.sampled_from(((1, 1), (2, 2), (2, 2), (1, 2), (3, 1), (4, 3))))
            padding = draw(st.sampled_from(PADDINGS))
            size = tuple(draw(st.integers(k, k + 7)) for k in kernel)
            pairs = zip(size, kernel, stride, strict=True)
            image = tuple(output_size(o, k, s, 1, padding) for o, k, s in pairs)
            op = cls(size[0], size[1], *stride, padding, draw(_draw.activation()))
            weights = (co, *kernel, ci)
            kinds, wide = ("int8",), ("int64",)
            return draw(_draw.weighted(op, (1, *image, ci), weights, 0, kinds, wide))

        return draw_sample()
