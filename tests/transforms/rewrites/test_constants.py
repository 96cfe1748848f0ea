"""The rules about constants: evaluated, replaced, merged, dropped."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.ir import GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites import (
    fold_constant_values,
    fold_constants,
    merge_constants,
    remove_unused,
)
from tests.transforms.rewrites.hand import Net, Q, ops, rewritten, whys

# -- fold_constants ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_what_depends_on_constants_alone_is_worked_out(dtype: str) -> None:
    n = Net(dtype)
    c = n.add("ADD", n.add("RELU", n.constant(1, 6, 6, 3)), n.constant(3))
    graph = n.build(n.add("MUL", n.x, c))
    small, report = rewritten(graph, fold_constants.RULE)
    assert ops(small) == ["MUL"]
    assert len(report.changes) == 2


def test_weights_stored_in_another_type_become_plain_ones() -> None:
    b = GraphBuilder()
    x = b.input("x", TensorType((1, 4), "float32"))
    stored = b.constant(np.arange(-6, 6, dtype=np.int8).reshape(3, 4), quant=Q(0.25))
    w = b.add(get_op("DEQUANTIZE")(), [stored])
    graph = b.build([b.add(get_op("FULLY_CONNECTED")(), [x, w])])
    small, report = rewritten(graph, fold_constants.RULE, tolerance=1e-6)  # sums in another order
    assert ops(small) == ["FULLY_CONNECTED"]
    assert "(costs 36 bytes)" in str(report.changes[0])


def test_a_result_that_depends_on_the_rounding_stays() -> None:
    b = GraphBuilder()
    x = b.input("x", TensorType((1, 1), "int8", Q(1.0)))
    factors = [b.constant(np.array([[v]], np.int8), quant=Q(1.0)) for v in (-2, 1)]
    half = b.add(get_op("MUL")(), factors, quant=Q(4.0))  # -2/4: away from zero, or upwards
    graph = b.build([b.add(get_op("ADD")(), [x, half], quant=Q(1.0))])
    small, report = rewritten(graph, fold_constants.RULE)
    assert ops(small) == ["MUL", "ADD"]
    assert whys(report) == ["the result depends on how a runtime rounds"]


def test_an_output_of_the_model_is_computed() -> None:
    n = Net()
    graph = n.build(n.add("TANH", n.x), n.add("RELU", n.constant(1, 3)))
    assert ops(rewritten(graph, fold_constants.RULE)[0]) == ["TANH", "RELU"]


# -- fold_constant_values ------------------------------------------------------------------------


def test_a_tensor_that_never_varies_is_replaced() -> None:
    n = Net("int8")
    dead = n.conv(n.x, 2, "dead", fused_activation_function="RELU")
    pooled = n.add("MEAN", dead, axis=(1, 2))
    graph = n.build(n.add("ADD", pooled, n.layer("FULLY_CONNECTED", n.x, (2, 108), "fc")))
    graph.data("dead_b")[:] = -(2**26)
    small, report = rewritten(graph, fold_constant_values.RULE)
    assert ops(small) == ["FULLY_CONNECTED", "ADD"]
    assert report.bytes_after == report.bytes_before - 2 * 27 - 2 * 4 + 2
    assert report.changes[0].what == "the output is the same for every input"


def test_a_tensor_that_takes_more_bytes_than_computing_it_stays() -> None:
    n = Net("int8", image=(1, 9, 9, 1))
    dead = n.conv(n.x, 1, "dead", kernel=1, fused_activation_function="RELU")
    graph = n.build(n.add("ADD", dead, n.x))
    graph.data("dead_b")[:] = -(2**26)
    small, report = rewritten(graph, fold_constant_values.RULE)
    assert ops(small) == ["CONV_2D", "ADD"]
    assert whys(report) == [
        "the output is always the same, but storing it takes more than computing it"
    ]


def test_a_tensor_with_one_element_that_varies_stays() -> None:
    n = Net("int8", image=(1, 2))
    alive = n.layer("FULLY_CONNECTED", n.x, (40, 2), "fc", fused_activation_function="RELU")
    last = n.layer("FULLY_CONNECTED", alive, (2, 40), "last")
    graph = n.build(n.add("ADD", last, n.x))
    graph.data("fc_b")[1:] = -(2**26)
    assert not rewritten(graph, fold_constant_values.RULE)[1].changes
    graph.data("fc_b")[0] = -(2**26)
    assert rewritten(graph, fold_constant_values.RULE)[1].changes


# -- merge_constants -----------------------------------------------------------------------------


def test_equal_constants_are_stored_once() -> None:
    n = Net()
    same = np.arange(3, dtype=np.float32)
    names = [n.b.constant(same, name="a"), n.b.constant(same.copy(), name="b")]
    graph = n.build(n.add("ADD", n.add("ADD", n.x, names[0]), names[1]))
    small, report = rewritten(graph, merge_constants.RULE)
    assert small.constant_bytes == 12
    assert report.changes[0].bytes_saved == 12


@pytest.mark.parametrize("difference", ["value", "shape", "dtype", "scale"])
def test_constants_that_differ_in_anything_stay_apart(difference: str) -> None:
    b = GraphBuilder()
    quant, data = QuantParams.per_tensor(0.5), np.array([1, 2], np.int8)
    other = {
        "value": (np.array([1, 3], np.int8), quant),
        "shape": (np.array([[1, 2]], np.int8), quant),
        "dtype": (np.array([1, 2], np.uint8), quant),
        "scale": (data, QuantParams.per_tensor(0.25)),
    }[difference]
    outputs = []
    for array, q in ((data, quant), other):
        c = b.constant(array, quant=q)
        outputs.append(b.add(get_op("DEQUANTIZE")(), [c]))
    graph = b.build(outputs)
    assert not rewritten(graph, merge_constants.RULE)[1].changes


# -- remove_unused -------------------------------------------------------------------------------


def test_what_no_output_needs_goes() -> None:
    n = Net()
    n.conv(n.add("TANH", n.x), 4, "idle")
    n.constant(5)
    graph = n.build(n.add("RELU", n.x))
    small, report = rewritten(graph, remove_unused.RULE)
    assert ops(small) == ["RELU"]
    assert set(small.values) == {"x", "relu"}
    assert report.changes[0].where == "TANH 'tanh'"


def test_an_input_stays_though_nothing_needs_it() -> None:
    n = Net()
    y = n.b.input("y", TensorType((1, 2), "float32"))
    graph = n.build(n.add("RELU", n.x))
    small, report = rewritten(graph, remove_unused.RULE)
    assert small.inputs == ("x", y)
    assert not report.changes
