"""Layers with weights or windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import QuantParams, TensorType
from smidgen.ops import Operand, get_op
from tests.random_steps._step import Step

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None


def _window(g: Growth) -> dict[str, Any]:
    return {
        "stride_h": g.draw(st.integers(1, 2)),
        "stride_w": g.draw(st.integers(1, 2)),
        "padding": g.draw(st.sampled_from(("SAME", "SAME", "VALID"))),
        "fused_activation_function": g.draw(st.sampled_from(g.activations)),
    }


def _kernel(g: Growth) -> tuple[int, int]:
    return g.draw(st.sampled_from(((1, 1), (3, 3), (3, 3), (2, 2), (1, 3), (5, 2))))


def _dilation(g: Growth) -> dict[str, int]:
    factor = g.draw(st.sampled_from((1, 1, 1, 2)))
    return {"dilation_h_factor": factor, "dilation_w_factor": factor}


def _conv(g: Growth, x: str) -> None:
    depth = g.builder.type(x).shape[3]
    groups = g.draw(st.sampled_from([1, 1, *(d for d in (2, 3, depth) if depth % d == 0)]))
    outs = groups * g.draw(st.integers(1, max(1, 12 // groups)))
    op = get_op("CONV_2D")(**_window(g), **_dilation(g))
    g.weighted(op, x, (outs, *_kernel(g), depth // groups))


def _depthwise(g: Growth, x: str) -> None:
    outs = g.builder.type(x).shape[3] * g.draw(st.sampled_from((1, 1, 2)))
    op = get_op("DEPTHWISE_CONV_2D")(**_window(g), **_dilation(g))
    g.weighted(op, x, (1, *_kernel(g), outs))


def _fully_connected(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    keep = type.rank > 2 and g.draw(st.booleans())
    op = get_op("FULLY_CONNECTED")(
        fused_activation_function=g.draw(st.sampled_from(g.activations)), keep_num_dims=keep
    )
    g.weighted(op, x, (g.draw(st.integers(1, 12)), type.shape[-1] if keep else type.size))


def _pool(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        height, width = _kernel(g)
        g.node(get_op(name)(**_window(g), filter_height=height, filter_width=width), [x])

    return grow


def _batch_matmul(g: Growth, x: str) -> None:
    *batch, _, depth = g.builder.type(x).shape
    other: Name = g.pick(lambda t: [*t.shape[:-2], *t.shape[-2:-1]] == [*batch, depth])
    columns = g.draw(st.integers(1, 6))
    if other is None or g.one_in(2):
        other = g.constant(g.rng.normal(0, 0.5, (*[1] * len(batch), depth, columns)))
    g.node(get_op("BATCH_MATMUL")(), [x, other])


def _transpose_conv(g: Growth, x: str) -> None:
    _, height, width, depth = g.builder.type(x).shape
    kh, kw = g.draw(st.sampled_from(((2, 2), (3, 3), (1, 2))))
    stride = g.draw(st.integers(1, 2))
    same = g.draw(st.booleans())
    sizes = [n * stride if same else (n - 1) * stride + k for n, k in ((height, kh), (width, kw))]
    op = get_op("TRANSPOSE_CONV")(
        output_height=sizes[0],
        output_width=sizes[1],
        stride_h=stride,
        stride_w=stride,
        padding="SAME" if same else "VALID",
    )
    g.weighted(op, x, (g.draw(st.integers(1, 6)), kh, kw, depth), int4=False)


def _resize(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        _, height, width, _ = g.builder.type(x).shape
        factor = g.draw(st.sampled_from((None, 2, 2)))
        if factor is None:
            size = g.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        else:
            size = (height * factor, width * factor)
        corners, centers = g.draw(st.sampled_from(((False, False), (True, False), (False, True))))
        g.node(get_op(name)(size, corners, centers), [x])

    return grow


def _lstm(g: Growth, x: str) -> None:
    """An LSTM whose gates are neither always saturated nor never, from a state of zeros."""
    type = g.builder.type(x)
    inputs, units = type.shape[-1], g.draw(st.integers(1, 8))
    shapes = [(units, inputs)] * 4 + [(units, units)] * 4
    weights = [
        g.rng.normal(0, g.draw(st.sampled_from((0.5, 2.0))) / shape[1] ** 0.5, shape)
        for shape in shapes
    ]
    bias = [g.rng.normal(0, 0.5, units) for _ in range(4)]
    zeros = np.zeros((1, units))
    if type.quant is None:
        arrays = [*weights, *bias, zeros, zeros]
        operands = [Operand(TensorType(a.shape, "float32"), a.astype(np.float32)) for a in arrays]
    else:
        wide = g.dtype == "int16"
        quants = [QuantParams.per_tensor(float(np.abs(w).max(initial=1e-3)) / 127) for w in weights]
        sums = [QuantParams.per_tensor(type.quant.scale * q.scale) for q in quants[:4]]
        hidden = QuantParams.per_tensor(1 / (32768 if wide else 128))
        cell = QuantParams.per_tensor(2.0**-11)
        operands = [
            *(_stored(w, "int8", q) for w, q in zip(weights, quants, strict=True)),
            *(_stored(b, "int64" if wide else "int32", q) for b, q in zip(bias, sums, strict=True)),
            _stored(zeros, g.dtype, hidden),
            _stored(zeros, "int16", cell),
        ]
    g.node(get_op("UNIDIRECTIONAL_SEQUENCE_LSTM")(), [x, *operands])


def _stored(real: Array, dtype: str, quant: QuantParams) -> Operand:
    data = np.round(real / quant.scale).astype(dtype)
    return Operand(TensorType(real.shape, dtype, quant), data)


STEPS = {
    "CONV_2D": Step(_conv, (4,)),
    "DEPTHWISE_CONV_2D": Step(_depthwise, (4,)),
    "FULLY_CONNECTED": Step(_fully_connected, (2, 3, 4)),
    "AVERAGE_POOL_2D": Step(_pool("AVERAGE_POOL_2D"), (4,)),
    "MAX_POOL_2D": Step(_pool("MAX_POOL_2D"), (4,)),
    "RESIZE_NEAREST_NEIGHBOR": Step(_resize("RESIZE_NEAREST_NEIGHBOR"), (4,)),
    "RESIZE_BILINEAR": Step(_resize("RESIZE_BILINEAR"), (4,)),
    "TRANSPOSE_CONV": Step(_transpose_conv, (4,)),
    "BATCH_MATMUL": Step(_batch_matmul, (3, 4)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Step(_lstm, (3,)),
}
