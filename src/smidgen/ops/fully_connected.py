"""FULLY_CONNECTED: rows of the input times a matrix. Weights (co, ci), bias (co,) or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.numerics.requantize import quantize_multipliers
from smidgen.ops import _conv, _int16, _lanes, _pack
from smidgen.ops._activation import check_activation, read_activation
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, QuantRule, TfliteNode, TfliteOp, Types
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _sizes(site: Site) -> dict[str, Param]:
    out_c, in_c = site.input(1).shape
    return {"rows": site.input(0).size // in_c, "in_c": in_c, "out_c": out_c}


def _int8_params(site: Site) -> Mapping[str, Param]:
    scale_step = int(len(site.quant(1).scales) > 1)
    return {**_sizes(site), "scale_step": scale_step, **_conv.int8_params(site)}


def _dense_sizes(site: Site) -> Mapping[str, Param]:
    return {**_sizes(site), "scale_step": int(len(site.quant(1).scales) > 1)}


def _int16_params(site: Site) -> Mapping[str, Param]:
    return {**_dense_sizes(site), **_int16.params(site)}


def _float_params(site: Site) -> Mapping[str, Param]:
    return {**_sizes(site), **_conv.float_params(site)}


@dataclass(frozen=True)
class FullyConnected(_conv.Weighted):
    """The input's elements in rows of ci, times the weights (co, ci), plus bias, activation.

    With `keep_num_dims` the result has the input's shape but for the last axis; otherwise it is
    (rows, co) and a row may span several axes of the input.
    """

    name: ClassVar[str] = "FULLY_CONNECTED"
    weight_zero_points: ClassVar[bool] = True
    accumulator: ClassVar[str] = "float64"  # matrix products of floats are the fast ones
    weight_axis: ClassVar[int] = 0
    # A channel has few weights for the bytes of a scale, and channels differ less than those of
    # convolutions, whose ranges batch norms have stretched.
    per_channel: ClassVar[bool] = False

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

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Rows may lie in any order where they keep their axes; the last axis stays the last."""
        if not self.keep_num_dims or order[-1] != len(order) - 1:
            return None
        return Permuted(self, (order, *[None] * (len(types) - 1)), (order,), exact=False)

    def accumulate(self, x: Array, w: Array) -> Array:
        rows = x.reshape(-1, w.shape[1]) @ w.T
        return rows.reshape(*x.shape[:-1], w.shape[0]) if self.keep_num_dims else rows

    def torch_accumulate(self, x: Any, w: Any, bias: Any) -> Any:
        from torch.nn import functional

        rows = x if self.keep_num_dims else x.reshape(-1, w.shape[1])
        return functional.linear(rows, w, bias)

    def factors(self, types: NodeTypes) -> tuple[Array, Array]:
        """One of each when there is one weight scale, otherwise one for each output."""
        scales = np.asarray(types.quant(1).scales, np.float64)
        return quantize_multipliers(types.scale(0) * scales / types.scale(-1))

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        w = types[1] if len(types) > 1 else None
        rule = super().quant_rule(*types)
        # TFLM refuses int4 weights with a scale for each channel here, and only here.
        return replace(rule, weight_axis=None) if w is not None and w.dtype == "int4" else rule

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        bias = inputs[2] if len(inputs) > 2 else None
        if types.dtype not in ("int8", "int16") or bias is None or bias.quant is None:
            return
        scales = types.quant(1).scales
        product = types.scale(0) * scales[0]
        # What the runtimes ask for when there is one weight scale.
        if len(scales) == 1 and abs(product - bias.quant.scales[0]) > 0.02 * types.scale(-1):
            raise ValueError(
                f"the bias has scale {bias.quant.scales[0]:.3g}; "
                f"input and weights make {product:.3g}"
            )

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
            **_conv.bias_field(types),
        }
        return TfliteOp("FullyConnectedOptions", fields, _conv.written(types))

    def tflite_version(self, types: NodeTypes) -> int:
        if types.inputs[1] is not None and types.inputs[1].dtype == "int4":
            return 10
        if types.dtype == "int16":
            return 7 if _conv.is_wide(types.inputs) else 11
        if len(_conv.written(types)) == 2:
            return 6
        if self.keep_num_dims:
            return 5
        return 4 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_fully_connected_int8_dsp",
            "fully_connected_int8_dsp.h",
            guard=_pack.one_factor_guard,
            params=_pack.fully_connected_params,
            arguments=(0,),
            struct="sm_fully_connected_dsp_params",
        ),
        Kernel(
            "sm_fully_connected_int8_dsp_per_channel",
            "fully_connected_int8_dsp_per_channel.h",
            guard=_pack.fully_connected_guard,
            params=_pack.fully_connected_params,
            arguments=(0,),
            struct="sm_fully_connected_dsp_params",
        ),
        Kernel(
            "sm_fully_connected_int8_lanes",
            "fully_connected_int8_lanes.h",
            guard=_lanes.int8_refusal,
            params=_lanes.fully_connected_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_int8",
            "fully_connected_int8.h",
            guard=_conv.int8_guard,
            params=_int8_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_int4_dsp",
            "fully_connected_int4_dsp.h",
            guard=_pack.int4_guard,
            params=_pack.int4_params,
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_int4",
            "fully_connected_int4.h",
            guard=_conv.int4_guard,
            params=_int8_params,
            arguments=(0,),
            struct="sm_fully_connected_int8_params",
        ),
        Kernel(
            "sm_fully_connected_int8_offset",
            "fully_connected_int8_offset.h",
            guard=_conv.offset_guard,
            params=lambda site: _conv.offset_params(_int8_params(site), site),
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_int16_dsp",
            "fully_connected_int16_dsp.h",
            guard=_int16.dsp_guard,
            params=lambda site: _int16.dense_dsp_params(_dense_sizes(site), site),
            arguments=(0,),
        ),
        Kernel(
            "sm_fully_connected_int16",
            "fully_connected_int16.h",
            guard=_int16.guard,
            params=_int16_params,
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
            return draw(_draw.weighted(op, shape, (outputs, row), 0, wide_bias=_conv.WIDE))

        return draw_sample()
