"""Layers to measure kernels on: see `Kernel.probes`."""

from __future__ import annotations

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.ops._conv import Weighted
from smidgen.ops._sample import Operand, Sample


def weighted(
    op: Weighted, x_shape: tuple[int, ...], w_shape: tuple[int, ...], point: int = -128
) -> Sample:
    """A layer with random int8 weights whose outputs cover int8.

    Args:
        op: the operator.
        x_shape, w_shape: of the input and the weights.
        point: zero point of the output; at -128 lines are found, in the middle they are not.
    """
    rng = np.random.default_rng(0)
    channels = w_shape[op.weight_axis]
    fan_in = np.prod(w_shape) / channels
    scales = rng.uniform(0.001, 0.003, channels) / np.sqrt(fan_in)
    bias = rng.integers(-1000, 1000, channels).astype(np.int32)
    x = TensorType(x_shape, "int8", QuantParams.per_tensor(0.1, -128))
    w_quant = QuantParams.per_channel(scales, op.weight_axis)
    b_quant = QuantParams.per_channel(scales * 0.1, 0)
    return Sample(
        op,
        (
            Operand(x),
            Operand(
                TensorType(w_shape, "int8", w_quant),
                rng.integers(-127, 128, w_shape).astype(np.int8),
            ),
            Operand(TensorType((channels,), "int32", b_quant), bias),
        ),
        (QuantParams.per_tensor(0.02, point),),
    )
