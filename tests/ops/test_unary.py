"""What the matrix of operators and runtimes does not ask of the operators on one tensor."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.select_kernels import select_kernels
from smidgen.errors import GraphError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import NodeTypes, Op, get_op

UNIT = QuantParams.per_tensor(1.0, 0)
ELEMENTWISE = ("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH")
PROBABILITY = QuantParams.per_tensor(1 / 256, -128)
OUTPUTS = {"LOGISTIC": PROBABILITY, "SOFTMAX": PROBABILITY, "TANH": QuantParams.per_tensor(1 / 128)}


def single(
    op: Op,
    quant: QuantParams | None,
    out: QuantParams | None,
    *,
    dtype: str = "int8",
    shape: tuple[int, ...] = (1, 8),
) -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", TensorType(shape, dtype, quant))
    return builder.build([builder.add(op, [x], quant=out)])


def kernel_of(graph: Graph) -> str:
    return select_kernels(graph)[0].kernel.symbol


@pytest.mark.parametrize(
    ("op", "scale", "out", "why"),
    [
        (get_op("SOFTMAX")(), 2.0**-26, PROBABILITY, "not above"),
        (get_op("SOFTMAX")(), 0.1, UNIT, "output must have"),
        (get_op("LOGISTIC")(), 2.0**-29, PROBABILITY, "below"),
        (get_op("LOGISTIC")(), 0.1, QuantParams.per_tensor(1 / 256, 0), "output must have"),
        (get_op("TANH")(), 2.0**-29, OUTPUTS["TANH"], "below"),
        (get_op("HARD_SWISH")(), 1.0, QuantParams.per_tensor(1 / 128, 0), "1/128"),
        (get_op("RELU")(), 1.0, QuantParams.per_tensor(1e-10, 0), "factor"),
        (get_op("LEAKY_RELU")(), 1.0, QuantParams.per_tensor(1e-10, 0), "factor"),
        (get_op("LEAKY_RELU")(1e10), 1.0, UNIT, "factor"),
        (get_op("QUANTIZE")(), 1.0, QuantParams.per_tensor(1e-10, 0), "factor"),
        (get_op("RELU6")(), 1.0, QuantParams.per_tensor(0.5, 0), "runtimes disagree"),
        (get_op("RELU6")(), 1e-10, QuantParams.per_tensor(1e-10, 0), "too small"),
    ],
)
def test_scales_that_a_runtime_cannot_handle_are_refused(
    op: Op, scale: float, out: QuantParams, why: str
) -> None:
    with pytest.raises(GraphError, match=re.escape(why)):
        single(op, QuantParams.per_tensor(scale, 0), out)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "SOFTMAX"])
def test_other_dtypes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="int32, which is not among float32, int8"):
        get_op(name)().infer(TensorType((1, 4), "int32", UNIT))
    with pytest.raises(ValueError, match="takes one operand"):
        get_op(name)().infer(TensorType((1, 4), "int8", UNIT), TensorType((1, 4), "int8", UNIT))


def test_attributes_that_make_no_sense_are_refused() -> None:
    x = TensorType((1, 4), "float32")
    for beta in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta"):
            get_op("SOFTMAX")(beta).infer(x)
    for alpha in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="alpha"):
            get_op("LEAKY_RELU")(alpha).infer(x)
    with pytest.raises(ValueError, match="quantizes float32 to int32"):
        get_op("QUANTIZE")("int32").infer(x)
    with pytest.raises(ValueError, match="no last axis"):
        get_op("SOFTMAX")().infer(TensorType((), "float32"))
    with pytest.raises(ValueError, match="4095 is the limit"):
        get_op("SOFTMAX")().infer(TensorType((1, 4096), "int8", UNIT))


@pytest.mark.parametrize("name", ["RELU", "RELU6"])
def test_a_clamp_needs_no_table_unless_the_scale_changes(name: str) -> None:
    quant = QuantParams.per_tensor(0.1, 5)
    assert kernel_of(single(get_op(name)(), quant, quant)) == "sm_relu_int8"
    other = QuantParams.per_tensor(0.1, 4)
    if name == "RELU":
        assert kernel_of(single(get_op(name)(), quant, other)) == "sm_lookup_int8"


def test_the_last_lines_of_a_softmax_table_are_left_out() -> None:
    step = select_kernels(single(get_op("SOFTMAX")(), QuantParams.per_tensor(2.0), PROBABILITY))[0]
    params = step.kernel.params(step.site)
    assert params["table_size"] == len(np.asarray(params["table"])) < 16


@pytest.mark.parametrize("name", [*ELEMENTWISE, "SOFTMAX"])
def test_the_int8_meaning_is_near_the_float_one(name: str) -> None:
    op = get_op(name)(0.1) if name == "LEAKY_RELU" else get_op(name)()
    quant = QuantParams.per_tensor(0.06, -10)
    out = OUTPUTS.get(name, quant)
    graph = single(op, quant, out, shape=(1, 16))
    x = np.arange(-128, 128).astype(np.int8).reshape(16, 16)
    got = (interpret(graph, x)[0].astype(np.float64) - out.zero_point) * out.scale
    real = ((x.astype(np.float64) + 10) * 0.06).astype(np.float32)
    want = op.float_ref(real)[0]
    limit = (np.array([-128, 127]) - out.zero_point) * out.scale
    assert np.abs(got - np.clip(want, *limit)).max() <= 1.5 * out.scale


@pytest.mark.parametrize(
    ("dtype", "zero_point", "to", "to_zero_point"),
    [("uint8", 128, "int8", 0), ("int8", -3, "uint8", 125), ("uint8", 9, "uint8", 9)],
)
@pytest.mark.toolchain
def test_quantize_between_bytes(dtype: str, zero_point: int, to: str, to_zero_point: int) -> None:
    from smidgen.backends.c.host import HostModel

    quant = QuantParams.per_tensor(0.5, zero_point)
    out = QuantParams.per_tensor(0.5, to_zero_point)
    graph = single(get_op("QUANTIZE")(to), quant, out, dtype=dtype, shape=(1, 256))
    info = np.iinfo(dtype)
    x = np.arange(info.min, info.max + 1).astype(dtype)[None]
    want = x.astype(np.int64) - zero_point + to_zero_point
    assert interpret(graph, x)[0].tolist() == want.tolist()
    assert HostModel(graph).run(x)[0].tolist() == want.tolist()


@pytest.mark.parametrize(
    ("dtype", "quant"), [("uint8", UNIT), ("int16", UNIT), ("float16", None)], ids=str
)
def test_dequantize_of_what_has_no_kernel(dtype: str, quant: QuantParams | None) -> None:
    graph = single(get_op("DEQUANTIZE")(), quant, None, dtype=dtype)
    x = np.arange(8).astype(dtype)[None]
    got = interpret(graph, x)[0]
    assert got.dtype == np.float32
    assert got.tolist() == [list(range(8))]


@pytest.mark.toolchain
def test_quantize_of_what_is_no_number() -> None:
    """Infinities clamp and not-a-number is zero: converting them to int32 would be undefined."""
    from smidgen.backends.c.host import HostModel

    graph = single(
        get_op("QUANTIZE")(), None, QuantParams.per_tensor(0.1, 7), dtype="float32", shape=(1, 6)
    )
    x = np.array([[np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45]], np.float32)
    want = [[7, 127, -128, 127, -128, 7]]
    assert interpret(graph, x)[0].tolist() == want
    assert HostModel(graph).run(x)[0].tolist() == want


def test_a_range_goes_through_the_table() -> None:
    types = NodeTypes((TensorType((1, 3), "int8", UNIT),), (TensorType((1, 3), "int8", UNIT),))
    low, high = np.array([[-5, -9, 4]], np.int8), np.array([[3, -2, 9]], np.int8)
    ((got_low, got_high),) = get_op("RELU")().value_range(types, (low, high))
    assert (got_low.tolist(), got_high.tolist()) == ([[0, 0, 4]], [[3, 0, 9]])


@pytest.mark.parametrize("name", [*ELEMENTWISE, "DEQUANTIZE", "QUANTIZE"])
def test_channels_pass_through(name: str) -> None:
    x = TensorType((1, 2, 3, 5), "int8", UNIT)
    (coupling,) = get_op(name)().axes(x)
    assert coupling.size == 5
    assert {(m.operand, m.axis) for m in coupling.members} == {(0, 3), (-1, 3)}
    assert not coupling.source


def test_no_class_may_leave_a_softmax() -> None:
    assert get_op("SOFTMAX")().axes(TensorType((1, 10), "int8", UNIT)) == ()


def attributes(op: Any) -> dict[str, Any]:
    return dict(vars(op))


def test_attributes_are_those_a_file_keeps() -> None:
    assert attributes(get_op("LEAKY_RELU")(0.1)) == {"alpha": float(np.float32(0.1))}
    assert attributes(get_op("SOFTMAX")(1.7)) == {"beta": float(np.float32(1.7)), "dtype": ""}
