"""Hypothesis strategies that the operators' `samples()` share. Imported by tests only."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.affine import dtype_range
from smidgen.ops._activation import BOUNDS
from smidgen.ops._op import Op
from smidgen.ops._sample import Operand, Sample


def dtype(*others: str) -> st.SearchStrategy[str]:
    """An activation's element type; int8 matters most, so it is drawn most often.

    Args:
        others: what the operator takes besides int8 and float32, such as "int16".
    """
    return st.sampled_from(("int8", "int8", "int8", "float32", *others))


def activation() -> st.SearchStrategy[str]:
    """A fused activation."""
    return st.sampled_from(tuple(BOUNDS))


def rng() -> st.SearchStrategy[np.random.Generator]:
    """A seeded generator for bulk data (drawing each element would be slow)."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def zero_points(dtype: str = "int8") -> st.SearchStrategy[int]:
    """Zero points of an element type, extreme ones included; wide integers are symmetric."""
    if dtype in ("int16", "int32"):
        return st.just(0)
    low, high = dtype_range(dtype)
    return st.one_of(st.sampled_from((low, low + high + 1 >> 1, high)), st.integers(low, high))


def quant(
    low: float = 1e-3, high: float = 1.0, dtype: str = "int8"
) -> st.SearchStrategy[QuantParams]:
    """Per-tensor parameters, extreme zero points included."""
    exponent = st.floats(float(np.log(low)), float(np.log(high)), allow_nan=False)
    return st.builds(
        lambda e, z: QuantParams.per_tensor(float(np.exp(e)), z), exponent, zero_points(dtype)
    )


def quant_of(dtype: str) -> st.SearchStrategy[QuantParams | None]:
    """Parameters of an activation whose dtype is drawn; None for float32."""
    if dtype == "float32":
        return st.none()
    return quant(1e-5, 1e-2, dtype) if dtype == "int16" else quant(dtype=dtype)


def kernel_size() -> st.SearchStrategy[tuple[int, int]]:
    """Height and width of a window."""
    return st.sampled_from(((1, 1), (3, 3), (3, 3), (1, 3), (2, 2), (5, 4), (7, 1)))


def image_size(
    kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> st.SearchStrategy[tuple[int, int]]:
    """Height and width that the dilated window fits into."""
    low = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    return st.tuples(st.integers(low[0], low[0] + 9), st.integers(low[1], low[1] + 9))


def shape(min_rank: int = 1, max_rank: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    """A shape with batch 1 first and at most a few thousand elements."""
    dims = st.lists(st.integers(1, 13), min_size=min_rank - 1, max_size=max_rank - 1)
    wide = st.integers(1, 67).map(lambda c: (1, c)) if min_rank <= 2 <= max_rank else st.nothing()
    return st.one_of(dims.map(lambda d: (1, *d)), wide)


@st.composite
def tensor(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, ...]], *others: str) -> TensorType:
    """The type of an activation of one of `shapes`; for `others` see `dtype`."""
    kind = draw(dtype(*others))
    return TensorType(draw(shapes), kind, draw(quant_of(kind)))


def values(
    generator: np.random.Generator, type: TensorType, limits: tuple[int, int] | None = None
) -> np.ndarray[Any, Any]:
    """Data for a type: uniform with runs of extremes for integers, normal for floats.

    Integers without a scale are counts: small ones, large ones among them. They lie within
    `limits` where those are given.
    """
    if type.dtype == "float32":
        return generator.normal(0, 2, type.shape).astype(np.float32)
    if type.dtype == "bool":
        return generator.random(type.shape) < 0.5
    if limits is None and type.dtype in ("int32", "int64") and type.quant is None:
        large = generator.normal(0, 1e5, type.shape) ** 2 * generator.choice((-1, 1), type.shape)
        small = generator.integers(-20, 20, type.shape, endpoint=True)
        rare = generator.random(type.shape) < 0.1
        return np.where(rare, np.clip(large, -(2.0**31), 2.0**31 - 1), small).astype(type.dtype)
    low, high = limits or (int(np.iinfo(type.dtype).min), int(np.iinfo(type.dtype).max))
    data = generator.integers(low, high, type.shape, endpoint=True)
    extreme = generator.random(type.shape) < 0.1
    data = np.where(extreme, generator.choice((low, high), type.shape), data)
    return data.astype(type.dtype)


@st.composite
def weighted(
    draw: st.DrawFn,
    op: Op,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    axis: int,
    weights: tuple[str, ...] = ("int8", "int8", "int4"),
    wide_bias: tuple[str, ...] = (),
) -> Sample:
    """A sample of an operator with input, weights (channels on `axis`) and an optional bias.

    Weights of int8 layers are of one of the element types `weights`. An int16 layer, if there is
    one, has a bias of one of the types `wide_bias`.
    """
    generator, kind = draw(rng()), draw(dtype(*(["int16"] if wide_bias else [])))
    if kind == "int16":
        return draw(_weighted_int16(op, x_shape, w_shape, axis, wide_bias, generator))
    channels = w_shape[axis]
    has_bias = draw(st.booleans())
    if kind == "float32":
        w = generator.normal(0, 0.3, w_shape).astype(np.float32)
        b = generator.normal(0, 1, channels).astype(np.float32)
        operands = [Operand(TensorType(x_shape, kind)), Operand(TensorType(w_shape, kind), w)]
        operands += [Operand(TensorType((channels,), kind), b)] if has_bias else []
        return Sample(op, tuple(operands))
    x_quant, out_quant = draw(quant()), draw(quant(1e-2, 0.5))
    per_channel = draw(st.booleans()) and channels > 1  # one scale is per tensor in a file
    count = channels if per_channel else 1
    # Weight scales such that outputs cover the int8 range, and now and then far too much of it.
    fan_in = max(1, int(np.prod(w_shape)) // channels)
    spread = generator.uniform(0.3, 3.0, count) * draw(st.sampled_from((0.1, 1.0, 1.0, 20.0)))
    scales = out_quant.scale / x_quant.scale / np.sqrt(fan_in) / 100 * spread
    w_kind = draw(st.sampled_from(weights))
    least, most = {"int8": (-127, 127), "int4": draw(st.sampled_from(((-7, 7), (-8, 7))))}[w_kind]
    scales = scales * 127 / most
    w = generator.integers(least, most, w_shape, endpoint=True).astype(np.int8)
    w_quant = QuantParams.per_channel(scales, axis) if per_channel else QuantParams.per_tensor(
        float(scales[0])
    )  # fmt: skip
    b_scales = x_quant.scale * np.asarray(w_quant.scales)
    b_quant = (
        QuantParams.per_channel(b_scales, 0)
        if per_channel
        else QuantParams.per_tensor(float(b_scales[0]))
    )
    b = (generator.integers(-(2**15), 2**15, channels) * most // 127).astype(np.int32)
    operands = [
        Operand(TensorType(x_shape, "int8", x_quant)),
        Operand(TensorType(w_shape, w_kind, w_quant), w),
    ]
    operands += [Operand(TensorType((channels,), "int32", b_quant), b)] if has_bias else []
    return Sample(op, tuple(operands), (out_quant,))


@st.composite
def _weighted_int16(
    draw: st.DrawFn,
    op: Op,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    axis: int,
    wide_bias: tuple[str, ...],
    generator: np.random.Generator,
) -> Sample:
    """`weighted` with int16 activations: biases of every size, the output's range well used."""
    channels, b_kind = w_shape[axis], draw(st.sampled_from(wide_bias))
    has_bias = b_kind == "int32" or draw(st.booleans())
    x_quant, out_quant = draw(quant(1e-5, 1e-2, "int16")), draw(quant(1e-5, 1e-2, "int16"))
    per_channel = draw(st.booleans()) and channels > 1
    taps = int(np.prod(w_shape)) // channels
    spread = generator.uniform(0.3, 3.0, channels if per_channel else 1)
    spread *= draw(st.sampled_from((0.1, 1.0, 1.0, 20.0)))
    scales = out_quant.scale / x_quant.scale / np.sqrt(taps) / 150 * spread
    # Sums that are scaled as those of int8 layers must fit 32 bits.
    most = 127 if b_kind == "int64" else max(1, min(127, 2**15 // taps))
    w = generator.integers(-most, most, w_shape, endpoint=True).astype(np.int8)
    b = generator.integers(-(2**24), 2**24, channels).astype(b_kind)
    if b_kind == "int64":  # now and then a bias that takes more than 32 bits
        b *= draw(st.sampled_from((1, 1, 2**8)))
    w_quant, b_quant = (
        QuantParams.per_channel(s, a) if per_channel else QuantParams.per_tensor(float(s[0]))
        for s, a in ((scales, axis), (x_quant.scale * scales, 0))
    )
    operands = [
        Operand(TensorType(x_shape, "int16", x_quant)),
        Operand(TensorType(w_shape, "int8", w_quant), w),
    ]
    operands += [Operand(TensorType((channels,), b_kind, b_quant), b)] if has_bias else []
    return Sample(op, tuple(operands), (out_quant,))
