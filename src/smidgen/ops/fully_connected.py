"""FULLY_CONNECTED: rows of the input times a matrix. Weights (co, ci), bias (co,) or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multipliers
from smidgen.ops import _conv, _sum_range
from smidgen.ops._activation import check_activation, float_activation, read_activation
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
from smidgen.ops._range import Range

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _factors(types: NodeTypes) -> tuple[Array, Array]:
    """Multipliers and shifts, int32: one for all outputs (1,), or one for each (co,).

    With a single weight scale the runtimes multiply the input's and the weights' scales in
    float32; with one for each channel, in double.
    """
    scales = types.quant(1).scales
    if len(scales) > 1:
        return _conv.multipliers(types, len(scales))
    product = np.float32(types.scale(0)) * np.float32(scales[0])
    return quantize_multipliers(np.array([float(product) / types.scale(-1)]))


def _sizes(site: Site) -> dict[str, Param]:
    out_c, in_c = site.input(1).shape
    return {"rows": site.input(0).size // in_c, "in_c": in_c, "out_c": out_c}


def _int8_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, FullyConnected)
    factors = _factors(NodeTypes(site.inputs, site.outputs))
    return {
        **_sizes(site),
        "scale_step": int(len(factors[0]) > 1),
        **_conv.int8_params(site, site.op.fused_activation_function, factors),
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, FullyConnected)
    return {**_sizes(site), **_conv.float_params(site, site.op.fused_activation_function)}


@dataclass(frozen=True)
class FullyConnected(Op):
    """The input's elements in rows of ci, times the weights (co, ci), plus bias, activation.

    With `keep_num_dims` the result has the input's shape but for the last axis; otherwise it is
    (rows, co) and a row may span several axes of the input.
    """

    name: ClassVar[str] = "FULLY_CONNECTED"

    fused_activation_function: str = "NONE"
    keep_num_dims: bool = False

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        x, w = _conv.two(types)
        if w.rank != 2 or not w.size:
            raise ValueError(f"weights must be (outputs, inputs), got shape {w.shape}")
        out_c, in_c = w.shape
        _conv.check_bias(types, out_c)
        if self.keep_num_dims and x.shape[-1:] != (in_c,):
            raise ValueError(f"rows of {in_c} are not the last axis of {x.shape}")
        if not x.rank or not x.size or x.size % in_c:
            raise ValueError(f"{x.shape} does not divide into rows of {in_c}")
        rows = x.shape[:-1] if self.keep_num_dims else (x.size // in_c,)
        return (TensorType((*rows, out_c), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.infer(*types)[0].shape[0] == 1

    def _multiply(self, x: Array, w: Array) -> Array:
        rows = x.reshape(-1, w.shape[1]) @ w.T
        return rows.reshape(*x.shape[:-1], w.shape[0]) if self.keep_num_dims else rows

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, w, bias = _conv.three(arrays)
        y = self._multiply(x, w)
        if bias is not None:
            y = y + bias
        return (float_activation(y, self.fused_activation_function).astype(np.float32),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, w, bias = _conv.three(arrays)
        # float64 sums of int8 products are exact far beyond any layer's size, and fast.
        centred = x.astype(np.float64) - types.zero_point(0)
        acc = self._multiply(centred, w.astype(np.float64)).astype(np.int64)
        activation = self.fused_activation_function
        return (_conv.finish_int(acc, bias, types, _factors(types), activation, rounding),)

    def contribution(self, types: NodeTypes, *ranges: Range | None) -> Range | None:
        return _sum_range.contribution(self._multiply, types, ranges)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        sums = self.contribution(types, *ranges)
        bias = ranges[2] if len(ranges) > 2 else None
        activation = self.fused_activation_function
        return _sum_range.value_range(sums, types, bias, lambda: _factors(types), activation)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.WEIGHT, Role.BIAS), weight_axis=0)

    torch_lower = unsupported(NOT_TRAINABLE_YET)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o = node.options
        if o["weights_format"] != "DEFAULT":
            raise UnsupportedModelError(
                f"weights in the format {o['weights_format']}", hint="convert with plain weights"
            )
        activation = read_activation(o["fused_activation_function"])
        return cls(activation, o["keep_num_dims"]), _conv.operands(node)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "fused_activation_function": self.fused_activation_function,
            "keep_num_dims": self.keep_num_dims,
        }
        return TfliteOp("FullyConnectedOptions", fields, _conv.written(types))

    def tflite_version(self, types: NodeTypes) -> int:
        if len(_conv.written(types)) == 2:
            return 6
        if self.keep_num_dims:
            return 5
        return 4 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_fully_connected_int8",
            "fully_connected_int8.h",
            guard=_conv.int8_guard,
            params=_int8_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_float32",
            "fully_connected_float32.h",
            guard=_conv.float_guard,
            params=_float_params,
            arguments=(0,),
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x, w = _conv.two(types)
        out_c, in_c = w.shape
        last = self.infer(*types)[0].rank - 1
        made = Coupling(out_c, (AxisRef(1, 0), AxisRef(2, 0), AxisRef(-1, last)), source=True)
        channels = x.shape[-1]
        if in_c % channels:
            return (made,)  # rows break channels apart: the input must stay as it is
        # A row that spans several axes has its channels repeated at each of their positions.
        row = AxisRef(1, 1, period=channels, tiles=in_c // channels)
        return (made, Coupling(channels, (AxisRef(0, x.rank - 1), row)))

    def macs(self, *types: TensorType | None) -> int:
        x, w = _conv.two(types)
        return x.size * w.shape[0]

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            inputs, outputs = draw(st.integers(1, 67)), draw(st.integers(1, 67))
            keep = draw(st.booleans())
            shapes: list[tuple[int, ...]] = [(1, inputs), (1, inputs), (1, 3, inputs)]
            if not keep:
                shapes.append((1, 2, 3, inputs))
            shape = draw(st.sampled_from(shapes))
            spans = not keep and draw(st.booleans())
            row = int(np.prod(shape)) if spans else inputs
            op = cls(draw(_draw.activation()), keep)
            return draw(_draw.weighted(op, shape, (outputs, row), axis=0))

        return draw_sample()
