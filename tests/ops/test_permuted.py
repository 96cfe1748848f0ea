"""Operators on axes in another order compute the same, as `Op.permuted` says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.interpreter import random_inputs, run_node
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import Sample, all_ops
from smidgen.ops._op import Unsupported
from smidgen.ops._order import Order, compose, without

OPS = sorted(n for n, op in all_ops().items() if not isinstance(op.samples, Unsupported))


def moved(array: np.ndarray, order: Order | None) -> np.ndarray:
    if order is None:
        return array
    full = array.reshape((1,) * (len(order) - array.ndim) + array.shape)
    return np.ascontiguousarray(full.transpose(order))


def moved_type(type: TensorType, order: Order | None) -> TensorType:
    quant = type.quant
    if quant is not None and quant.axis is not None and order is not None:
        quant = replace(quant, axis=order.index(quant.axis + len(order) - type.rank))
    return replace(type, shape=moved(np.empty(type.shape, np.int8), order).shape, quant=quant)


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_results_are_those_of_the_operator_in_another_order(
    name: str, data: st.DataObject
) -> None:
    sample: Sample = data.draw(all_ops()[name].samples())
    graph = sample.graph()
    (node,) = graph.nodes
    types = graph.types(node.inputs)
    assert types[0] is not None
    rank = max(types[0].rank, graph.output_types[0].rank)
    order = tuple(data.draw(st.permutations(range(rank))))
    form = sample.op.permuted(order, *types)
    if form is None:
        return
    assert len(form.inputs) == len(types)
    assert len(form.outputs) == len(node.outputs)
    arrays = dict(zip(graph.inputs, random_inputs(graph, 1, 0), strict=True))
    arrays |= {n: v.data for n, v in graph.values.items() if v.data is not None}
    wants = run_node(graph, node, arrays)

    builder = GraphBuilder()
    names: list[str | None] = []
    twins = {}
    for operand, want in zip(node.inputs, form.inputs, strict=True):
        if operand is None:
            names.append(None)
            continue
        type, array = moved_type(graph.type(operand), want), moved(arrays[operand], want)
        if graph.values[operand].is_constant:
            names.append(builder.constant(array, quant=type.quant, dtype=type.dtype))
        else:
            names.append(builder.input(operand, type))
            twins[names[-1]] = array
    outputs = builder.add_multi(form.op, names, quant=sample.quant)
    again = builder.build(list(outputs))  # verifies shapes and quantization
    results = run_node(again, again.nodes[0], twins)
    for got, want, given_order in zip(results, wants, form.outputs, strict=True):
        expected = moved(want, given_order)
        assert got.shape == expected.shape
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        else:
            assert np.array_equal(got, expected)


ELEMENTWISE = ["ADD", "RELU", "LOGISTIC", "QUANTIZE", "CONCATENATION", "PAD", "MEAN"]


@pytest.mark.parametrize("name", [*ELEMENTWISE, "STRIDED_SLICE", "TRANSPOSE"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_what_works_in_any_order_says_so(name: str, data: st.DataObject) -> None:
    sample: Sample = data.draw(all_ops()[name].samples())
    types = tuple(None if o is None else o.type for o in sample.operands)
    assert types[0] is not None
    rank = max(types[0].rank, sample.op.infer(*types)[0].rank)
    assert sample.op.permuted(tuple(reversed(range(rank))), *types) is not None


def test_orders() -> None:
    assert compose((0, 3, 1, 2), (0, 2, 3, 1)) == (0, 1, 2, 3)
    assert without((3, 1, 0, 2), {1}) == (2, 0, 1)


@pytest.mark.parametrize(
    ("before", "after", "order", "result"),
    [
        ((1, 6, 4, 5), (1, 2, 3, 4, 5), (0, 3, 4, 1, 2), (0, 2, 3, 1)),  # channel shuffle
        ((1, 2, 3, 4, 5), (1, 6, 4, 5), (0, 3, 4, 1, 2), (0, 2, 3, 1)),
        ((1, 6, 4, 5), (1, 6, 20), (0, 2, 3, 1), (0, 2, 1)),  # pixels to a sequence
        ((1, 6, 1, 1), (1, 6), (0, 2, 3, 1), (0, 1)),  # squeezed
        ((1, 6), (1, 6, 1, 1), (0, 2, 3, 1), (0, 1)),
    ],
)
def test_a_reshape_moves_what_it_merges_as_one(before, after, order, result) -> None:
    x = TensorType(before, "float32")
    form = all_ops()["RESHAPE"](after).permuted(order, x)
    assert form is not None
    wide = len(before) >= len(after)
    assert (form.inputs, form.outputs) == (((order,), (result,)) if wide else ((result,), (order,)))


def test_a_reshape_cannot_merge_what_is_apart() -> None:
    x = TensorType((1, 6, 4, 5), "float32")
    assert all_ops()["RESHAPE"]((1, 120)).permuted((0, 2, 3, 1), x) is None
