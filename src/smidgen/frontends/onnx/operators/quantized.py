"""Quantized operators: pairs of QuantizeLinear and DequantizeLinear, and QLinear operators.

All become operators in float between DEQUANTIZE and QUANTIZE, which `lowering.qdq` then turns into
operators on integers. Bytes of uint8 become int8 with everything 128 lower, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.lowering import on_grid
from smidgen.frontends.onnx.operators.window import convolve
from smidgen.frontends.onnx.site import NodeSite, Operand, RawInput, Rule, operator
from smidgen.frontends.onnx.tensors import Array, dtype_of
from smidgen.ir import QuantParams
from smidgen.ops import get_op

MICROSOFT = "com.microsoft"
_TYPES = {"int8": "int8", "uint8": "int8", "int16": "int16"}


def _params(site: NodeSite, scale: int, zero_point: int, dtype: str) -> QuantParams:
    """Per-tensor parameters from two operands, as int8 has them.

    Args:
        site: the node.
        scale, zero_point: places of the operands; the second may be left out.
        dtype: ONNX's type of the integers.
    """
    if dtype not in _TYPES:
        raise site.refuse(
            f"it quantizes to {dtype}", hint="quantize activations to int8, uint8 or int16"
        )
    scales = site.floats(scale, "scale")
    zero = site.constant(zero_point, "zero point") if site.has(zero_point) else np.zeros(1)
    if scales.size != 1 or zero.size != 1:
        raise site.refuse(
            "an activation has a scale for each channel",
            hint="quantize activations with one scale, weights with one for each channel",
        )
    value = float(scales.reshape(-1)[0])
    if not (np.isfinite(value) and value > 0):
        raise site.malformed(f"its scale is {value}")
    shift = 128 if dtype == "uint8" else 0
    point = int(zero.reshape(-1)[0]) - shift
    if dtype == "int16" and point:
        raise site.refuse(
            f"its zero point is {point}", hint="quantize int16 symmetrically, with zero point 0"
        )
    return QuantParams.per_tensor(value, point)


def _zero_type(site: NodeSite, place: int, default: str = "uint8") -> str:
    """ONNX's type of the integers, which is that of the zero point."""
    if not site.has(place):
        return default
    return str(site.constant(place, "zero point").dtype)


def quantized(site: NodeSite, x: Operand, params: QuantParams, dtype: str) -> str:
    """A float value as integers."""
    make: Any = get_op("QUANTIZE")
    at = site.at
    return at.builder.add(make(dtype=dtype), [at.value(x)], quant=params, name=at.layer)


def _blockwise(site: NodeSite, array: Array, like: Array, axis: int) -> Array:
    """Scales or zero points stretched over what they are for: one, one a channel or a block."""
    if array.size == 1:
        return array.reshape(())
    if array.ndim == like.ndim:
        block = site.integer("block_size", 0) or -(-like.shape[axis] // array.shape[axis])
        return np.repeat(array, block, axis).take(range(like.shape[axis]), axis)
    shape = [1] * like.ndim
    shape[axis] = -1
    return array.reshape(shape)


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain=MICROSOFT)
def quantize_linear(site: NodeSite) -> Operand:
    """Real numbers to integers; constants at once, as ONNX rounds them (ties to even)."""
    dtype = np.dtype(_zero_type(site, 2))
    if not site.has(2) and site.integer("output_dtype", 0):
        dtype = dtype_of(site.integer("output_dtype"), site.label)
    x = site.source(0)
    if isinstance(x, str):
        params = _params(site, 1, 2, str(dtype))
        return quantized(site, x, params, _TYPES[str(dtype)])
    axis = site.axis(max(1, x.ndim), 1 if x.ndim > 1 else 0)
    scale = _blockwise(site, site.floats(1, "scale"), x, axis)
    zero = site.constant(2, "zero point") if site.has(2) else np.zeros(1, dtype)
    limits = np.iinfo(dtype)
    q = np.rint(np.asarray(x, np.float32) / scale) + _blockwise(site, zero, x, axis).astype(float)
    return np.asarray(np.clip(np.nan_to_num(q), limits.min, limits.max), dtype)


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain=MICROSOFT)
def dequantize_linear(site: NodeSite) -> Operand:
    """Integers to the real numbers that they stand for."""
    return dequantized(site, 0, 1, 2)


def dequantized(site: NodeSite, place: int, scale: int, zero_point: int) -> Operand:
    """The real numbers of an integer operand, whose parameters are two other operands."""
    raw = site.raw_inputs[place] if site.has(place) else None
    if isinstance(raw, RawInput):
        params = _params(site, scale, zero_point, raw.dtype)
        return _real(site, site.declare(raw, params))
    x = site.source(place)
    if isinstance(x, str):
        quant = site.at.type(x).quant
        if quant is None:
            raise site.refuse(
                "its operand is computed as plain integers",
                hint="quantize it with QuantizeLinear",
            )
        dtype = _zero_type(site, zero_point, "int8")
        params = _params(site, scale, zero_point, dtype)
        if params != quant:
            raise site.refuse(
                f"it reads {quant} as {params}", hint="use the parameters it was quantized with"
            )
        return _real(site, x)
    scales = site.floats(scale, "scale")
    zero = site.constant(zero_point, "zero point") if site.has(zero_point) else np.zeros(1, int)
    axis = site.axis(x.ndim, 1 if x.ndim > 1 else 0) if x.ndim else 0
    if (scales.ndim == x.ndim and scales.ndim > 1) or (scales.size > 1 and zero.size == 1):
        zero = np.broadcast_to(zero, scales.shape)
    if scales.ndim == x.ndim and scales.ndim > 1:  # in blocks, for which there are no kernels
        centred = x.astype(np.float32) - _blockwise(site, zero, x, axis).astype(np.float32)
        return np.asarray(centred * _blockwise(site, scales, x, axis))
    return on_grid(x, scales, zero, axis if scales.size > 1 else None)


def _real(site: NodeSite, x: str) -> str:
    at = site.at
    return at.builder.add(get_op("DEQUANTIZE")(), [x], name=at.layer)


def _weights(site: NodeSite, place: int, axis: int) -> Array:
    """Constant integers in three operands, as real numbers on their grid."""
    q, scales = site.constant(place, "weights"), site.floats(place + 1, "weights' scale")
    zero = site.constant(place + 2, "weights' zero point")
    per_channel = axis % q.ndim if scales.size > 1 else None
    if scales.size > 1 and zero.size == 1:
        zero = np.broadcast_to(zero.reshape(-1), (scales.size,))
    return on_grid(q, scales.reshape(-1), zero.reshape(-1), per_channel)


def _result(site: NodeSite, y: Operand, scale: int, zero_point: int) -> str:
    dtype = _zero_type(site, zero_point)
    return quantized(site, y, _params(site, scale, zero_point, dtype), _TYPES[dtype])


@operator("QLinearConv")
def qlinear_conv(site: NodeSite) -> Operand:
    """x, its scale and zero point; the weights' three; the result's two; an int32 bias."""
    x, weight = dequantized(site, 0, 1, 2), _weights(site, 3, 0)
    bias = None
    if site.has(8):
        scale = site.floats(1, "scale").reshape(-1).astype(np.float64)
        steps = scale * site.floats(4, "weights' scale").reshape(-1)
        bias = np.asarray(site.constant(8, "bias") * steps, np.float32)
    return _result(site, convolve(site, x, weight, bias), 6, 7)


@operator("QLinearMatMul")
def qlinear_mat_mul(site: NodeSite) -> Operand:
    """Two matrices with scale and zero point each, and those of the result."""
    a = dequantized(site, 0, 1, 2)
    b: Operand
    if site.has(3) and not isinstance(site.raw_inputs[3], RawInput) and site.known(3) is not None:
        b = _weights(site, 3, -1)
    else:
        b = dequantized(site, 3, 4, 5)
    return _result(site, lower.matmul(site.at, a, b), 6, 7)


@operator("QGemm", domain=MICROSOFT)
def qgemm(site: NodeSite) -> Operand:
    """A B + C with quantized A and B and an int32 C; in float if the result has no scale."""
    at, a = site.at, dequantized(site, 0, 1, 2)
    transposed = site.flag("transB")
    b = _weights(site, 3, 0 if transposed else 1)
    if site.flag("transA") or site.real("alpha", 1.0) != 1:
        raise site.refuse("it transposes or scales its operand", hint="use Transpose and Mul")
    bias = None
    if site.has(6):
        steps = site.number(1, "scale") * site.floats(4, "scale").reshape(-1).astype(np.float64)
        bias = np.asarray(site.constant(6, "C").reshape(-1) * steps, np.float32)
        bias = np.ascontiguousarray(np.broadcast_to(bias, (b.shape[0 if transposed else 1],)))
    y = lower.linear(at, a, b if transposed else b.T, bias)
    return _result(site, y, 7, 8) if site.has(7) else y


def _binary(op: str) -> Rule:
    def rule(site: NodeSite) -> Operand:
        a, b = dequantized(site, 0, 1, 2), dequantized(site, 3, 4, 5)
        return _result(site, lower.binary(site.at, op, a, b), 6, 7)

    return rule


operator("QLinearAdd", domain=MICROSOFT)(_binary("ADD"))
operator("QLinearMul", domain=MICROSOFT)(_binary("MUL"))


def _unary(apply: Callable[[NodeSite, Operand], Operand]) -> Rule:
    def rule(site: NodeSite) -> Operand:
        return _result(site, apply(site, dequantized(site, 0, 1, 2)), 3, 4)

    return rule


def _pixels(site: NodeSite, x: Operand) -> Operand:
    """The mean of each channel; images may be channels last here."""
    rank = len(site.shape(x))
    axes = range(1, rank - 1) if site.flag("channels_last") else range(2, rank)
    return lower.reduce(site.at, "MEAN", x, axes, keep_dims=True)


operator("QLinearSigmoid", domain=MICROSOFT)(_unary(lambda site, x: lower.sigmoid(site.at, x)))
operator("QLinearLeakyRelu", domain=MICROSOFT)(
    _unary(lambda site, x: lower.leaky_relu(site.at, x, site.real("alpha", 0.01)))
)
operator("QLinearGlobalAveragePool", domain=MICROSOFT)(_unary(_pixels))
operator("QLinearSoftmax", domain=MICROSOFT)(
    _unary(lambda site, x: lower.softmax(site.at, x, site.integer("axis", -1)))
)


@operator("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(site: NodeSite) -> Operand:
    """The mean of each window."""
    from smidgen.frontends.onnx.operators.window import average_pool

    if site.flag("channels_last"):
        raise site.refuse("it is channels last", hint="quantize before optimizing the graph")
    x = dequantized(site, 0, 1, 2)
    inner = _with_operands(site, [x])
    y = average_pool(inner)
    assert isinstance(y, str)
    return _result(site, y, 3, 4)


def _with_operands(site: NodeSite, operands: list[Operand]) -> NodeSite:
    return NodeSite(
        site.at,
        site.op_type,
        site.label,
        19,
        list(operands),
        site.attributes,
        site.outputs,
        site.declare,
    )


@operator("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(site: NodeSite) -> Operand:
    """The result's scale and zero point, then operands with theirs."""
    parts = [dequantized(site, place, place + 1, place + 2) for place in range(2, len(site), 3)]
    axis = site.axis(len(site.shape(parts[0])))
    return _result(site, lower.concatenate(site.at, parts, axis), 0, 1)


def _centred(site: NodeSite, place: int, zero_point: int) -> Operand:
    """An integer operand less its zero point, as real numbers."""
    raw = site.raw_inputs[place] if site.has(place) else None
    zero = site.constant(zero_point, "zero point") if site.has(zero_point) else np.zeros(1)
    if isinstance(raw, RawInput):
        if zero.size != 1:
            raise site.refuse("it has a zero point for each row", hint="use one for all")
        shift = 128 if raw.dtype == "uint8" else 0
        params = QuantParams.per_tensor(1.0, int(zero.reshape(-1)[0]) - shift)
        return _real(site, site.declare(raw, params))
    x = site.source(place)
    if isinstance(x, str):
        quant = site.at.type(x).quant
        if quant is None or zero.size != 1:
            raise site.refuse("its operand is not quantized", hint="use QLinearConv or MatMul")
        # The integers themselves are the real numbers, divided by their scale.
        return lower.multiply(site.at, _real(site, x), np.array([1 / quant.scale], np.float32))
    if zero.size > 1 and site.op_type == "ConvInteger":  # one for each output channel
        zero = zero.reshape(-1, *(1,) * (x.ndim - 1))
    return np.asarray(x.astype(np.float32) - zero.astype(np.float32))


def _as_integers(site: NodeSite, y: str) -> Operand:
    return site.at.add("CAST", [y], dtype="int32")


@operator("ConvInteger")
def conv_integer(site: NodeSite) -> Operand:
    """A convolution of integers, computed in float32: exact while sums stay below 2^24."""
    x, weight = _centred(site, 0, 2), _centred(site, 1, 3)
    if isinstance(weight, str):
        raise site.refuse("its weights are computed at run time", hint="use constant weights")
    return _as_integers(site, convolve(site, x, weight, None))


@operator("MatMulInteger")
def mat_mul_integer(site: NodeSite) -> Operand:
    """A product of integer matrices, computed in float32: exact while sums stay below 2^24."""
    a, b = _centred(site, 0, 2), _centred(site, 1, 3)
    return _as_integers(site, lower.matmul(site.at, a, b))


# -- operators that take integers as they take real numbers ---------------------------------------

MOVES = {
    "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "MaxPool",
    "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Unsqueeze",
}  # fmt: skip
TYPES_ONLY = {"Shape", "Size"}


def on_integers(site: NodeSite, rule: Rule) -> list[Operand | None]:
    """Apply a rule to quantized operands: it sees real numbers, its results are integers again."""
    quants: list[QuantParams] = []
    dtype = "int8"
    operands: list[Operand | RawInput | None] = []
    for value in site.raw_inputs:
        quant = site.at.type(value).quant if isinstance(value, str) else None
        if isinstance(value, str) and quant is not None:
            quants.append(quant)
            dtype = site.at.type(value).dtype
            operands.append(_real(site, value))
        else:
            operands.append(value)
    if site.op_type not in MOVES | TYPES_ONLY or len(set(quants)) > 1:
        raise site.refuse(
            "it computes with quantized integers as if they were plain numbers",
            hint="put DequantizeLinear before it and QuantizeLinear after it",
        )
    site.raw_inputs = operands
    result = rule(site)
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    return [
        quantized(site, r, quants[0], dtype) if isinstance(r, str) else r  # type: ignore[misc]
        for r in results
    ]
