"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: weights, bias, requantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType, pack_int4
from smidgen.numerics.requantize import (
    MAX_SHIFT,
    WIDE_MAX_SHIFT,
    quantize_multipliers,
    requantize,
    requantize_wide,
)
from smidgen.ops import _sum_range, _torch
from smidgen.ops._activation import (
    check_activation,
    check_bounds,
    float_activation,
    float_bounds,
    int_bounds,
    read_activation,
)
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import (
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    Types,
)
from smidgen.ops._range import Range
from smidgen.ops._rows import RowWindow
from smidgen.ops._unary import check_factor
from smidgen.ops._window import Window

Array = np.ndarray[Any, Any]

# Element types of input, weights and bias that a layer may have.
DTYPES = (
    ("float32", "float32", "float32"),
    ("int8", "int8", "int32"),
    ("int8", "int4", "int32"),
    ("int16", "int8", "int64"),
    ("int16", "int8", "int32"),
)
WIDE = ("int64", "int32")  # element types of the bias of an int16 layer


class Weighted(Op):
    """Base of the operators that sum products with weights, then add a bias and clamp.

    A subclass says how products are summed (`accumulate`) and where weights have their channels.
    """

    accumulator: ClassVar[str]  # a dtype in which sums of int8 products are exact, and fast
    weight_axis: ClassVar[int]  # the weights' axis of output channels
    per_channel: ClassVar[bool] = True  # whether scales of their own are worth their bytes

    fused_activation_function: str

    def accumulate(self, x: Array, w: Array) -> Array:
        """Sums of products (..., output channels), in the arrays' own dtype."""
        raise NotImplementedError

    def torch_accumulate(self, x: Any, w: Any, bias: Any) -> Any:
        """Sums of products plus bias on torch tensors, before the activation."""
        raise NotImplementedError

    def factors(self, types: NodeTypes) -> tuple[Array, Array]:
        """Multipliers and shifts, int32: one of each (1,) or one for each channel (channels,)."""
        return multipliers(types, types.outputs[0].shape[-1])

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, w, bias = three(arrays)
        y = self.accumulate(x, w)
        if bias is not None:
            y = y + bias
        return (float_activation(y, self.fused_activation_function).astype(np.float32),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, w, bias = three(arrays)
        exact = "float64" if types.dtype == "int16" else self.accumulator
        centred = x.astype(exact) - types.zero_point(0)
        weights = w.astype(exact) - weight_zero_point(types.inputs)
        acc = self.accumulate(centred, weights).astype(np.int64)
        if bias is not None:
            acc = acc + bias.astype(np.int64)
        low, high = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        if is_wide(types.inputs):
            scaled = requantize_wide(acc, *self.factors(types), rounding).astype(np.int64)
        else:
            scaled = requantize(acc, *self.factors(types), rounding).astype(np.int64)
        return (np.clip(scaled + types.zero_point(-1), low, high).astype(types.dtype),)

    def contribution(self, types: NodeTypes, *ranges: Range | None) -> Range | None:
        return _sum_range.contribution(self.accumulate, types, ranges)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        sums = self.contribution(types, *ranges)
        bias = ranges[2] if len(ranges) > 2 else None
        activation, wide = self.fused_activation_function, is_wide(types.inputs)
        return _sum_range.value_range(
            sums, types, bias, lambda: self.factors(types), activation, wide
        )

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        roles = (Role.ACTIVATION, Role.WEIGHT, Role.BIAS)
        return QuantRule(roles, weight_axis=self.weight_axis, per_channel=self.per_channel)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype in ("int8", "int16"):
            check_bounds(self.fused_activation_function, outputs[0])
            largest = WIDE_MAX_SHIFT if is_wide(inputs) else MAX_SHIFT
            check_factor(types.scale(0) * max(types.quant(1).scales) / types.scale(-1), largest)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, w, *rest = tensors
        y = self.torch_accumulate(x, w, rest[0] if rest else None)
        return _torch.activation(y, self.fused_activation_function)


@dataclass(frozen=True)
class Convolution(Weighted):
    """What CONV_2D and DEPTHWISE_CONV_2D have in common: the window."""

    channelwise: ClassVar[bool] = False  # an output needs one channel of its window

    stride_h: int = 1
    stride_w: int = 1
    padding: str = "VALID"
    fused_activation_function: str = "NONE"
    dilation_h_factor: int = 1
    dilation_w_factor: int = 1

    def window(self, w: tuple[int, ...]) -> Window:
        """The window of weights of shape `w`."""
        stride = (self.stride_h, self.stride_w)
        dilation = (self.dilation_h_factor, self.dilation_w_factor)
        return Window((w[1], w[2]), stride, dilation, self.padding)

    def result(self, types: tuple[TensorType | None, ...], channels: int) -> tuple[TensorType, ...]:
        """The output's type, once the operator's own checks are done."""
        check_activation(self.fused_activation_function)
        x, w = image_and_weights(types)
        check_bias(types, channels)
        positions = self.window(w.shape).positions(x.shape)
        return (TensorType((x.shape[0], *positions, channels), x.dtype),)

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        x, w = image_and_weights(types)
        return {0: self.window(w.shape).rows(x.shape)}

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
        return op, operands(node)

    def fields(self) -> dict[str, Any]:
        """The fields of both operators' options in a file."""
        return {
            "padding": self.padding,
            "stride_w": self.stride_w,
            "stride_h": self.stride_h,
            "fused_activation_function": self.fused_activation_function,
            "dilation_w_factor": self.dilation_w_factor,
            "dilation_h_factor": self.dilation_h_factor,
        }


def window_int8_params(site: Site, **own: Param) -> Mapping[str, Param]:
    """Fields of an int8 convolution's struct: the window, the operator's `own`, the rest."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, Convolution)
    return {**op.window(w.shape).on(site).params(x, site.output), **own, **int8_params(site)}


def window_float_params(site: Site, **own: Param) -> Mapping[str, Param]:
    """Fields of a float convolution's struct, as `window_int8_params`."""
    op, x, w = site.op, site.input(0), site.input(1)
    assert isinstance(op, Convolution)
    return {**op.window(w.shape).on(site).params(x, site.output), **own, **float_params(site)}


def window_overlap(site: Site) -> Mapping[int, int]:
    """A convolution may write its output over the input as far as its window allows."""
    op, x = site.op, site.input(0)
    assert isinstance(op, Convolution)
    window = op.window(site.input(1).shape)
    return {0: window.lead(x, site.output, channelwise=op.channelwise)}


def image_and_weights(types: tuple[TensorType | None, ...]) -> tuple[TensorType, TensorType]:
    """The first two operands of a convolution, checked to be of rank 4.

    Raises:
        ValueError: if one is missing, empty or of another rank.
    """
    x, w = two(types)
    for what, type in (("input", x), ("weights", w)):
        if type.rank != 4:
            raise ValueError(f"{what} must have rank 4 (channels last), got shape {type.shape}")
        if not type.size:
            raise ValueError(f"{what} of shape {type.shape} have no elements")
    return x, w


def weight_zero_point(types: Types) -> int:
    """The zero point of the weights: 0 but in models that were uint8."""
    quant = types[1].quant if types[1] is not None else None
    return 0 if quant is None or quant.axis is not None else quant.zero_point


def is_wide(types: Types) -> bool:
    """Whether the runtimes sum in 64 bits: int16 activations, unless the bias is int32."""
    bias = types[2] if len(types) > 2 else None
    assert types[0] is not None
    return types[0].dtype == "int16" and (bias is None or bias.dtype == "int64")


def two(types: tuple[TensorType | None, ...]) -> tuple[TensorType, TensorType]:
    """The first two operands, which must be present and of dtypes that go together."""
    if len(types) not in (2, 3) or types[0] is None or types[1] is None:
        raise ValueError("takes an input, weights and an optional bias")
    got = tuple(t.dtype for t in types if t is not None)
    if not any(got == known[: len(got)] for known in DTYPES):
        known = "; ".join(", ".join(d) for d in DTYPES)
        raise ValueError(f"input, weights and bias are {', '.join(got)}; must be {known}")
    return types[0], types[1]


def check_bias(types: tuple[TensorType | None, ...], channels: int) -> None:
    """Raise ValueError unless the bias is absent or has one element for each channel."""
    bias = types[2] if len(types) > 2 else None
    if bias is not None and bias.size != channels:
        raise ValueError(f"bias of shape {bias.shape} for {channels} output channels")


def three(arrays: tuple[Array | None, ...]) -> tuple[Array, Array, Array | None]:
    """Input, weights and bias (None when left out)."""
    x, w = arrays[0], arrays[1]
    assert x is not None and w is not None
    return x, w, arrays[2] if len(arrays) > 2 else None


def operands(node: TfliteNode) -> tuple[int | None, ...]:
    """IR operands of a file's layer; a bias of -1, beyond the list or of filler is left out."""
    bias = node.types[2] if len(node.types) > 2 else None
    data = node.constants[2] if bias is not None else None
    wide = node.types[0] is not None and node.types[0].dtype == "int16"
    if bias is None:
        if wide and node.options.get("quantized_bias_type") == "INT32":
            raise UnsupportedModelError(
                "int16 activations without a bias that are to be summed in 32 bits",
                hint="convert the model with a bias, or without the option for 32-bit biases",
            )
        return (0, 1)
    filler = data is not None and bias.quant is None and _is_filler(data)
    return (0, 1) if filler and not (wide and bias.dtype == "int32") else (0, 1, 2)


def bias_field(types: NodeTypes) -> dict[str, Any]:
    """The option by which LiteRT knows of an int16 layer's int32 bias; TFLM looks at the bias."""
    narrow = types.dtype == "int16" and not is_wide(types.inputs)
    return {"quantized_bias_type": "INT32"} if narrow else {}


def filler(types: NodeTypes, channels: int) -> Array:
    """A bias for a file that must have one: integer zeros without a scale, or negative zeros.

    Adding a negative zero changes nothing, not even the sign of a zero.
    """
    if types.dtype == "float32":
        return np.full(channels, -0.0, np.float32)
    return np.zeros(channels, np.int64 if types.dtype == "int16" else np.int32)


def _is_filler(bias: Array) -> bool:
    return not bias.any() and bool(bias.dtype.kind == "i" or np.signbit(bias).all())


def written(types: NodeTypes) -> tuple[int, ...]:
    """Operands as the file has them; a bias left out is not written at all.

    TFLM's DEPTHWISE_CONV_2D crashes on a -1 in its place.
    """
    has_bias = len(types.inputs) > 2 and types.inputs[2] is not None
    return (0, 1, 2) if has_bias else (0, 1)


def multipliers(types: NodeTypes, channels: int) -> tuple[Array, Array]:
    """Multiplier and shift of each output channel, int32 (channels,).

    The real factor is double(input scale) * double(weight scale) / double(output scale).
    """
    weights = np.asarray(types.quant(1).scales, np.float64)
    real = types.scale(0) * weights / types.scale(-1)
    return quantize_multipliers(np.broadcast_to(real, (channels,)))


def int8_params(site: Site) -> dict[str, Param]:
    """The last fields of every portable kernel that takes int8 and weights, int8 or int4."""
    assert isinstance(site.op, Weighted)
    multiplier, shift = site.op.factors(NodeTypes(site.inputs, site.outputs))
    low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
    bias = site.constants[2] if len(site.constants) > 2 else None
    weights = site.constant(1)
    if site.input(1).dtype == "int4" and not _spread(site):
        weights = pack_int4(weights).view(np.int8)
    return {
        "input_offset": -site.quant(0).zero_point,
        "output_offset": site.quant(-1).zero_point,
        "act_min": low,
        "act_max": high,
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
        "bias": None if bias is None else bias.astype(np.int32),
        "weights": weights,
    }


def float_params(site: Site) -> dict[str, Param]:
    """The last fields of every float kernel with weights."""
    assert isinstance(site.op, Weighted)
    low, high = float_bounds(site.op.fused_activation_function)
    bias = site.constants[2] if len(site.constants) > 2 else None
    return {"act_min": low, "act_max": high, "bias": bias, "weights": site.constant(1)}


def int8_guard(site: Site) -> str | None:
    """Why the portable int8 kernels cannot compute this site, or None."""
    wanted = ("int8", "int4" if _spread(site) else "int8", "int8")
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    offset = weight_zero_point(site.inputs)
    if offset:
        return f"the weights have zero point {offset}"
    return refusal(site, wanted, got, "int32")


def offset_guard(site: Site) -> str | None:
    """Why the int8 kernels for weights with a zero point cannot compute this site, or None."""
    if not weight_zero_point(site.inputs):
        return "the weights have no zero point"
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    return refusal(site, ("int8", "int8", "int8"), got, "int32")


def offset_params(params: Mapping[str, Param], site: Site) -> Mapping[str, Param]:
    """Fields of those kernels: those of the portable ones, and the zero point after the offsets."""
    fields: dict[str, Param] = {}
    for name, value in params.items():
        fields[name] = value
        if name == "output_offset":
            fields["weight_offset"] = -weight_zero_point(site.inputs)
    return fields


def _spread(site: Site) -> bool:
    """Whether int4 weights are compiled as int8 ones: the host has memory, and no time to lose."""
    return site.input(1).dtype == "int4" and "host" in site.features


def int4_guard(site: Site) -> str | None:
    """Why the portable kernels with int4 weights cannot compute this site, or None."""
    wanted = ("int8", "int4", "int8")
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    return refusal(site, wanted, got, "int32")


def float_guard(site: Site) -> str | None:
    """Why the float kernels cannot compute this site, or None."""
    got = (site.dtype, site.input(1).dtype, site.output.dtype)
    return refusal(site, ("float32",) * 3, got, "float32")


def _largest_sum(site: Site) -> int:
    """The largest magnitude that a sum of an int8 node can have, bias included."""
    op = site.op
    assert isinstance(op, Weighted)
    w = np.moveaxis(site.constant(1), op.weight_axis, 0)
    w = w.reshape(w.shape[0], -1).astype(np.int64)
    zero_point = site.quant(0).zero_point
    ends = w * (-128 - zero_point), w * (127 - zero_point)
    low, high = np.minimum(*ends).sum(1), np.maximum(*ends).sum(1)
    bias = site.constants[2] if len(site.constants) > 2 else None
    offset = np.zeros(1, np.int64) if bias is None else bias.astype(np.int64).ravel()
    return int(max(np.abs(low + offset).max(), np.abs(high + offset).max()))


def refusal(site: Site, wanted: tuple[str, ...], got: tuple[str, ...], bias: str) -> str | None:
    """Why kernels for the `wanted` types, that take constants, cannot compute this site."""
    if got != wanted:
        return f"input, weights and output are {', '.join(got)}, not {', '.join(wanted)}"
    if site.constants[1] is None:
        return "the weights are computed at run time"
    if len(site.inputs) > 2 and site.inputs[2] is not None:
        if site.constants[2] is None or site.input(2).dtype != bias:
            return f"the bias is not a constant {bias} tensor"
    if site.rounding != "double" and wanted[0] != "float32":
        return "the kernels round as TFLM does (double rounding)"
    if wanted[0] == "int8" and (largest := _largest_sum(site)) > np.iinfo(np.int32).max:
        return f"sums up to {largest} do not fit 32 bits, whatever runtime adds them up"
    if site.output.shape[0] != 1 and site.output.rank == 4:
        return f"batch {site.output.shape[0]}; kernels run one sample at a time"
    return None
