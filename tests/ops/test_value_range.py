"""Every operator's `value_range` holds what it computes, and knows what it can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.interpreter import run_node
from smidgen.ir import QuantParams, TensorType, numpy_dtype
from smidgen.ops import NodeTypes, Sample, all_ops, get_op
from smidgen.ops._op import Unsupported
from smidgen.ops._range import unknown

Q = QuantParams.per_tensor

# BATCH_NORM is float only and has no integer meaning; it takes part like any other operator.
OPS = sorted(n for n, op in all_ops().items() if not isinstance(op.samples, Unsupported))


def narrowed(rng: np.random.Generator, type: TensorType) -> tuple[np.ndarray, np.ndarray]:
    """A random range: some elements constant, some free, some in between."""
    dtype = numpy_dtype(type.dtype)
    if dtype.kind == "f":
        ends = np.sort(rng.normal(0, 3, (2, *type.shape)).astype(dtype), axis=0)
        ends[:, rng.random(type.shape) < 0.3] = 0
    else:
        low, high = (int(end.flat[0]) for end in unknown(type))
        ends = np.sort(rng.integers(low, high, (2, *type.shape), endpoint=True), axis=0)
        ends = ends.astype(dtype)
    constant = rng.random(type.shape) < rng.choice([0.0, 0.5, 1.0])
    ends[1, constant] = ends[0, constant]
    return ends[0], ends[1]


def inside(rng: np.random.Generator, ends: tuple[np.ndarray, np.ndarray], kind: str) -> np.ndarray:
    low, high = ends
    if kind == "corner":
        return np.where(rng.random(low.shape) < 0.5, low, high)
    if low.dtype.kind == "f":
        share = rng.random(low.shape).astype(low.dtype)
        return np.clip(low + (high - low) * share, low, high).astype(low.dtype)
    return rng.integers(low, high, low.shape, endpoint=True).astype(low.dtype)


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_outputs_lie_within_their_ranges(name: str, data: st.DataObject) -> None:
    sample: Sample = data.draw(all_ops()[name].samples())
    graph = sample.graph()
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    (node,) = graph.nodes
    ranges = {n: narrowed(rng, graph.type(n)) for n in graph.inputs}
    ranges |= {n: (v.data, v.data) for n, v in graph.values.items() if v.data is not None}
    types = NodeTypes(graph.types(node.inputs), tuple(graph.type(n) for n in node.outputs))
    operands = (None if n is None else ranges[n] for n in node.inputs)
    found = node.op.value_range(types, *operands)
    for rounding in ("double", "single"):
        for kind in ("corner", "corner", "uniform"):
            values = {n: inside(rng, ranges[n], kind) for n in graph.inputs}
            outputs = run_node(graph, node, values, rounding)
            for out, got, (low, high) in zip(node.outputs, outputs, found, strict=True):
                assert low.shape == high.shape == graph.type(out).shape
                assert low.dtype == high.dtype == got.dtype
                assert not (low > got).any()  # what is not a number is in any range
                assert not (got > high).any()


def test_a_convolution_knows_its_exact_bounds() -> None:
    w = np.random.default_rng(0).integers(-20, 20, (4, 3, 3, 2)).astype(np.int8)
    image = TensorType((1, 5, 5, 2), "int8", Q(0.5, 3))
    types = NodeTypes(
        (image, TensorType(w.shape, "int8", Q(0.01)), None),
        (TensorType((1, 5, 5, 4), "int8", Q(0.5, -7)),),
    )
    op = get_op("CONV_2D")(padding="SAME")
    low, high = op.value_range(types, unknown(image), (w, w), None)[0]
    for out in range(4):  # the input that is extreme at each tap reaches the bound
        x = np.zeros(image.shape, np.int8)
        x[0, 1:4, 1:4] = np.where(w[out] > 0, 127, -128)
        assert op.int_ref(types, x, w, None)[0][0, 2, 2, out] == high[0, 2, 2, out]
        x[0, 1:4, 1:4] = np.where(w[out] > 0, -128, 127)
        assert op.int_ref(types, x, w, None)[0][0, 2, 2, out] == low[0, 2, 2, out]


def test_a_filter_of_zeros_is_constant() -> None:
    w = np.zeros((2, 1, 1, 3), np.int8)
    w[1] = 5
    bias = np.array([1000, 0], np.int32)
    image = TensorType((1, 2, 2, 3), "int8", Q(0.5, 3))
    types = NodeTypes(
        (image, TensorType(w.shape, "int8", Q(0.01)), TensorType((2,), "int32", Q(0.005))),
        (TensorType((1, 2, 2, 2), "int8", Q(0.5, -7)),),
    )
    low, high = get_op("CONV_2D")().value_range(types, unknown(image), (w, w), (bias, bias))[0]
    assert (low[..., 0] == 3).all()  # 1000 * 0.005 / 0.5 - 7
    assert (high[..., 0] == 3).all()
    assert (low[..., 1] < high[..., 1]).all()


def test_a_float_filter_is_constant_only_if_nothing_is_added_up() -> None:
    w = np.zeros((3, 1, 1, 2), np.float32)
    w[1, 0, 0] = (0.0, 2.0)
    w[2, 0, 0] = (1.0, 0.0)
    bias = np.array([-1.5, 0.25, 0.25], np.float32)
    types = NodeTypes(
        (TensorType((1, 1, 1, 2), "float32"), TensorType(w.shape, "float32"), None),
        (TensorType((1, 1, 1, 3), "float32"),),
    )
    x = np.array([[[[0.0, 1.0]]]], np.float32)
    low, high = get_op("CONV_2D")().value_range(types, (x, x), (w, w), (bias, bias))[0]
    assert low.ravel().tolist() == [-1.5, -np.inf, 0.25]
    assert high.ravel().tolist() == [-1.5, np.inf, 0.25]


def test_a_clamp_makes_a_constant_of_what_lies_beyond_it() -> None:
    type = TensorType((1, 3), "int8", Q(0.1, 0))
    x = (np.array([[-5, -5, 2]], np.int8), np.array([[-1, 1, 4]], np.int8))
    low, high = get_op("RELU")().value_range(NodeTypes((type,), (type,)), x)[0]
    assert low.tolist() == [[0, 0, 2]]
    assert high.tolist() == [[0, 1, 4]]
