"""What the matrix does not ask of BATCH_MATMUL: refusals, batches, and the factor at ties."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.tflite.writer import write
from smidgen.errors import GraphError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import get_op
from smidgen.verify.runtimes import RuntimeName, RuntimePool

MATMUL = get_op("BATCH_MATMUL")
Q = QuantParams.per_tensor


def floats(*shapes: tuple[int, ...]) -> tuple[TensorType, ...]:
    return tuple(TensorType(shape, "float32") for shape in shapes)


@pytest.mark.parametrize(
    ("types", "why"),
    [
        (floats((1, 2, 3), (1, 4, 5)), "do not multiply: 3 and 4 terms"),
        (floats((1, 2, 3), (3,)), "not matrices of 2 to 5 axes"),
        (floats((1, 1, 1, 1, 2, 3), (3, 3)), "not matrices of 2 to 5 axes"),
        (floats((2, 2, 3), (3, 3, 4)), "do not broadcast"),
        (floats((1, 2, 0), (1, 0, 2)), "0 and 0 terms"),
        (floats((1, 2, 3)), "takes two operands, got 1"),
        ((*floats((1, 2, 3)), TensorType((3, 2), "int8")), "float32 and int8, not both"),
        ((TensorType((1, 1, 40000), "int8"), TensorType((40000, 1), "int8")), "leave 32 bits"),
    ],
)
def test_operands_that_do_not_fit_are_refused(types: tuple[TensorType, ...], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        MATMUL().infer(*types)


@pytest.mark.parametrize(
    ("x", "y", "adj_x", "expected"),
    [
        ((1, 3), (3, 4), False, True),
        ((1, 3), (1, 4), True, False),  # the samples would be terms of the sum
        ((1, 1), (1, 4), False, False),  # y may be computed
        ((1, 2, 3), (1, 3, 4), False, True),
        ((1, 2, 3), (3, 4), False, True),
        ((1, 5, 2, 3), (1, 3, 4), False, False),  # a batch there would line up with the 5
        ((1, 2, 3), (5, 3, 4), False, False),  # a constant of five matrices makes five outputs
    ],
)
def test_which_operands_may_be_widened(
    x: tuple[int, ...], y: tuple[int, ...], adj_x: bool, expected: bool
) -> None:
    assert MATMUL(adj_x).batchable(*floats(x, y)) is expected


def test_multiply_accumulates_are_counted() -> None:
    assert MATMUL().macs(*floats((1, 3, 4, 5), (1, 1, 5, 6))) == 3 * 4 * 5 * 6
    assert MATMUL(True, True).macs(*floats((5, 4), (6, 5))) == 4 * 5 * 6


def integers(y: np.ndarray, dtype: str, *quants: QuantParams) -> Graph:
    """A row of y's depth times y, transposed."""
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, y.shape[1]), dtype, quants[0]))
    constant = builder.constant(y.astype(dtype), quant=quants[1])
    return builder.build([builder.add(MATMUL(adj_y=True), [x, constant], quant=quants[2])])


def test_int16_with_a_zero_point_is_refused() -> None:
    with pytest.raises(GraphError, match="zero point other than 0"):
        integers(np.ones((2, 2)), "int16", Q(0.1), Q(0.1, 3), Q(0.1))


@pytest.mark.oracle
def test_the_factor_is_tflms_where_a_unit_in_it_decides(pool: RuntimePool) -> None:
    first, second, out = Q(0.012345), Q(0.023456), Q(600.0)
    exact = first.scale * second.scale / out.scale
    rounded = float(np.float32(first.scale) * np.float32(second.scale)) / out.scale
    halves = np.concatenate([np.arange(-126, -120), np.arange(120, 126)]) + 0.5
    sums = (np.round(halves / exact)[:, None] + np.arange(-8, 9)).ravel().astype(np.int64)
    depth = int(np.abs(sums).max()) // 127**2 + 3
    # x is 127 everywhere but for a last 1: sums are 127 * (127 * whole + high) + low.
    low, rest = np.fmod(sums, 127), np.trunc(sums / 127).astype(np.int64)
    whole, high = np.trunc(rest / 127).astype(np.int64), np.fmod(rest, 127)
    y = np.sign(sums)[:, None] * 127 * (np.arange(depth) < np.abs(whole)[:, None])
    y[:, -2], y[:, -1] = high, low
    graph = integers(y, "int8", first, second, out)
    x = np.full((1, depth), 127, np.int8)
    x[0, -1] = 1
    wanted: dict[RuntimeName, Any] = {
        runtime: requantize(sums, *quantize_multiplier(factor))
        for runtime, factor in (("tflm", exact), ("litert_ref", rounded))
    }
    assert not np.array_equal(wanted["tflm"], wanted["litert_ref"])
    for runtime, want in wanted.items():
        got = pool.run(runtime, write(graph), [x]).outputs[0]
        np.testing.assert_array_equal(got[0], want)
    np.testing.assert_array_equal(interpret(graph, [x])[0][0], wanted["tflm"])


def test_the_dsp_kernel_is_for_matrices_that_are_used_more_than_once() -> None:
    def symbol(shape: tuple[int, ...], adj_x: bool = False) -> str:
        builder = GraphBuilder()
        x = builder.input("x", TensorType(shape, "int8", Q(0.1)))
        y = builder.input("y", TensorType((1, 5, 5), "int8", Q(0.1)))
        graph = builder.build([builder.add(MATMUL(adj_x), [x, y], quant=Q(1.0))])
        return select_kernels(graph, features=["dsp"])[0].kernel.symbol

    assert symbol((1, 2, 5)) == "sm_batch_matmul_int8_dsp"
    assert symbol((1, 1, 5)) == symbol((1, 5, 2), True) == "sm_batch_matmul_int8"
