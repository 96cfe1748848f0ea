"""What the matrix does not ask of layers with weights, pools, means and sums: mostly refusals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.tflite.writer import write
from smidgen.errors import GraphError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import NodeTypes, Op, TfliteNode, get_op
from smidgen.schema import decode
from tests.graphs import difference

Q = QuantParams.per_tensor

CONV, DEPTHWISE, DENSE = (
    get_op(name) for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
)
AVERAGE, LARGEST = get_op("AVERAGE_POOL_2D"), get_op("MAX_POOL_2D")
ADD, MUL, MEAN = get_op("ADD"), get_op("MUL"), get_op("MEAN")


def floats(*shapes: tuple[int, ...]) -> tuple[TensorType, ...]:
    return tuple(TensorType(shape, "float32") for shape in shapes)


@pytest.mark.parametrize(
    ("op", "types", "why"),
    [
        (CONV(), floats((1, 4, 4, 6), (8, 3, 3, 4)), "6 input channels are no multiple"),
        (CONV(), floats((1, 4, 4, 6), (8, 3, 3, 2)), "8 output channels do not divide into 3"),
        (CONV(), floats((1, 4, 4, 0), (8, 3, 3, 2)), "input of shape (1, 4, 4, 0) have no"),
        (CONV(), floats((1, 4, 4, 2), (8, 3, 3, 0)), "weights of shape (8, 3, 3, 0) have no"),
        (CONV(), floats((4, 4, 2), (8, 3, 3, 2)), "input must have rank 4"),
        (CONV(stride_h=0), floats((1, 4, 4, 2), (8, 3, 3, 2)), "must all be positive"),
        (CONV(), floats((1, 4, 4, 2), (8, 3, 3, 2), (7,)), "bias of shape (7,) for 8"),
        (CONV(), floats((1, 4, 4, 2)), "takes an input, weights and an optional bias"),
        (CONV(fused_activation_function="TANH"), floats((1, 4, 4, 2), (8, 3, 3, 2)), "'TANH'"),
        (DEPTHWISE(), floats((1, 4, 4, 2), (2, 3, 3, 2)), "must be (1, h, w, a multiple"),
        (DEPTHWISE(), floats((1, 4, 4, 2), (1, 3, 3, 3)), "for 2 input channels"),
        (DEPTHWISE(), floats((1, 4, 4, 4), (1, 5, 3, 4)), "a window of 5 does not fit into 4"),
        (DENSE(), floats((1, 6), (4, 5)), "(1, 6) does not divide into rows of 5"),
        (DENSE(), floats((), (4, 1)), "() does not divide"),
        (DENSE(keep_num_dims=True), floats((1, 2, 3), (4, 6)), "not the last axis of (1, 2, 3)"),
        (DENSE(), floats((1, 6), (4, 6, 1)), "weights must be (outputs, inputs)"),
        (AVERAGE(), floats((4, 4, 2)), "input must be (n, h, w, c)"),
        (LARGEST(filter_width=9), floats((1, 4, 4, 2)), "a window of 9"),
        (LARGEST(filter_width=0), floats((1, 4, 4, 2)), "must all be positive"),
        (MEAN((3,)), floats((1, 4)), "axes (3,) of a tensor of shape (1, 4)"),
        (MEAN((1,)), floats((1, 0)), "has no elements"),
        (ADD(), floats((1, 2), (1, 3)), "(1, 2) and (1, 3) do not broadcast"),
        (ADD(), floats((1, 2)), "takes two operands, got 1"),
    ],
)
def test_operands_that_do_not_fit_are_refused(
    op: Op, types: tuple[TensorType, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        op.infer(*types)


@pytest.mark.parametrize("op", [CONV(), DEPTHWISE(), DENSE()])
@pytest.mark.parametrize(
    "dtypes",
    [
        ("float32", "int8"),
        ("int8", "float32"),
        ("int16", "int16"),
        ("uint8", "uint8"),
        ("int8", "int8", "float32"),
        ("float32", "float32", "int32"),
    ],
)
def test_element_types_that_no_kernel_has_are_refused(op: Op, dtypes: tuple[str, ...]) -> None:
    shapes = [(1, 4), (1, 4)] if op == DENSE() else [(1, 4, 4, 1), (1, 1, 1, 1)]
    types = [TensorType(s, d) for s, d in zip((*shapes, (1,)), dtypes, strict=False)]
    with pytest.raises(ValueError, match=", ".join(dtypes)):
        op.infer(*types)


@pytest.mark.parametrize("op", [AVERAGE(), LARGEST(), MEAN((1,))])
def test_pools_and_means_of_other_dtypes_are_refused(op: Op) -> None:
    with pytest.raises(ValueError, match="int32, which is not among float32, int8"):
        op.infer(TensorType((1, 4, 4, 1), "int32", Q(1.0)))


def node(op: Op, inputs: list[tuple[float, tuple[int, ...]]], out: float) -> Graph:
    """An int8 node of inputs with these scales and shapes, and an output of this scale."""
    builder = GraphBuilder()
    names = [
        builder.input(f"x{i}", TensorType(shape, "int8", Q(scale)))
        for i, (scale, shape) in enumerate(inputs)
    ]
    return builder.build([builder.add(op, names, quant=Q(out))])


IMAGE = (1, 4, 4, 1)


@pytest.mark.parametrize(
    ("op", "scales", "out", "why"),
    [
        (ADD(), [1.0, 1.0], 1e-6, "too small for operands of scale 1 and 1"),
        (get_op("SUB")(), [0.1, 3e3], 5e-3, "too small for operands of scale 0.1 and 3e+03"),
        (MUL(), [100.0, 200.0], 1.0, "factor of 2e+04; 16384 is the limit"),
        (MEAN((1,)), [3e6], 1.0, "factor of 3e+06; 1048576 is the limit"),
        (ADD("RELU6"), [1e-10, 1e-10], 1e-10, "too small to express an activation bound"),
        (AVERAGE(fused_activation_function="RELU6"), [1e-10], 1e-10, "too small to express"),
        (AVERAGE(), [0.5], 0.25, "must share one scale"),
        (LARGEST(), [0.5], 0.25, "must share one scale"),
        (CONV(), [1e6, 1e6], 1.0, "2^30 is the limit"),
        (DEPTHWISE(fused_activation_function="RELU6"), [1e-10, 1.0], 1e-10, "too small to"),
    ],
)
def test_scales_that_a_runtime_cannot_handle_are_refused(
    op: Op, scales: list[float], out: float, why: str
) -> None:
    with pytest.raises(GraphError, match=re.escape(why)):
        node(op, [(s, IMAGE if i == 0 else (1, 1, 1, 1)) for i, s in enumerate(scales)], out)


def test_a_dense_bias_of_another_scale_is_refused() -> None:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, 4), "int8", Q(0.5)))
    w = builder.constant(np.ones((2, 4), np.int8), quant=Q(0.5))
    bias = builder.constant(np.ones(2, np.int32), quant=Q(0.3))
    out = builder.add(DENSE(), [x, w, bias], quant=Q(1.0))
    with pytest.raises(GraphError, match=re.escape("scale 0.3; input and weights make 0.25")):
        builder.build([out])


def options(name: str, graph: Graph, **changes: Any) -> TfliteNode:
    """What `tflite_read` of the operator sees in the graph's file, with some options changed."""
    (op_node,) = graph.nodes
    assert op_node.op.name == name
    types = NodeTypes(graph.types(op_node.inputs), graph.output_types)
    fields = {**op_node.op.tflite_write(types).fields, **changes}  # type: ignore[attr-defined]
    return TfliteNode(fields, types.inputs, (None,) * len(types.inputs), types.outputs)


def test_files_that_contradict_themselves_or_use_old_formats_are_refused() -> None:
    graph = node(DEPTHWISE(), [(0.5, (1, 4, 4, 2)), (0.5, (1, 1, 1, 4))], 0.5)
    with pytest.raises(UnsupportedModelError, match="depth multiplier 3 does not make 4 channels"):
        DEPTHWISE.tflite_read(options("DEPTHWISE_CONV_2D", graph, depth_multiplier=3))
    graph = node(DENSE(), [(0.5, (1, 4)), (0.5, (2, 4))], 0.5)
    with pytest.raises(UnsupportedModelError, match="SHUFFLED4x16INT8"):
        DENSE.tflite_read(options("FULLY_CONNECTED", graph, weights_format="SHUFFLED4x16INT8"))
    graph = node(MUL(), [(0.5, (1, 4)), (0.5, (2, 4))], 0.5)
    with pytest.raises(UnsupportedModelError, match="TANH has no kernel"):
        MUL.tflite_read(options("MUL", graph, fused_activation_function="TANH"))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_convolution_without_bias_is_written_with_filler_that_changes_nothing(
    dtype: str,
) -> None:
    quant = Q(0.5) if dtype == "int8" else None
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, 2, 2, 1), dtype, quant))
    w = builder.constant(-np.ones((3, 1, 1, 1), dtype), quant=quant)
    graph = builder.build([builder.add(CONV(), [x, w], quant=quant)])
    data = write(graph)
    assert len(decode(data)["subgraphs"][0]["operators"][0]["inputs"]) == 3
    assert difference(graph, read(data)) == ""
    if dtype == "float32":  # a zero keeps its sign
        filler = np.frombuffer(decode(data)["buffers"][2]["data"], np.float32)
        sums = np.array([0.0, -0.0, 1.0], np.float32) + filler
        assert np.signbit(sums).tolist() == [False, True, False]


def test_a_bias_of_zeros_that_has_a_scale_is_kept() -> None:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, 2, 2, 1), "int8", Q(0.5)))
    w = builder.constant(np.ones((3, 1, 1, 1), np.int8), quant=Q(0.5))
    bias = builder.constant(np.zeros(3, np.int32), quant=Q(0.25))
    graph = builder.build([builder.add(CONV(), [x, w, bias], quant=Q(0.5))])
    assert len(read(write(graph)).nodes[0].inputs) == 3


@pytest.mark.parametrize(
    ("op", "shapes", "macs"),
    [
        (CONV(padding="SAME"), [(1, 5, 7, 4), (6, 3, 3, 4)], 5 * 7 * 6 * 9 * 4),
        (CONV(padding="SAME"), [(1, 5, 7, 4), (6, 3, 3, 2)], 5 * 7 * 6 * 9 * 2),
        (CONV(2, 2), [(1, 5, 7, 4), (6, 3, 3, 4)], 2 * 3 * 6 * 9 * 4),
        (DEPTHWISE(padding="SAME"), [(1, 5, 7, 4), (1, 3, 3, 8)], 5 * 7 * 8 * 9),
        (DENSE(), [(1, 3, 10), (7, 10)], 3 * 10 * 7),
        (DENSE(), [(1, 3, 10), (7, 30)], 30 * 7),
        (AVERAGE(), [(1, 4, 4, 2)], 0),
    ],
)
def test_multiply_accumulates_are_counted(op: Op, shapes: list[tuple[int, ...]], macs: int) -> None:
    assert op.macs(*floats(*shapes)) == macs


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((1, 4, 5), (1, 4, 5), True),
        ((1, 4, 5), (1, 1, 1), True),
        ((1, 4, 5), (5,), True),
        ((1, 4, 5), (), True),
        ((1, 4, 5), (4, 5), True),
        ((1, 4, 5), (1, 5), False),  # a batch there would line up with the 4
        ((1, 4, 5), (3, 4, 5), False),  # fits a batch of one or three
        ((), (), False),
    ],
)
def test_which_operands_may_be_widened(
    a: tuple[int, ...], b: tuple[int, ...], expected: bool
) -> None:
    assert ADD().batchable(*floats(a, b)) is expected
    assert MUL().batchable(*floats(b, a)) is expected


def refusal(graph: Graph) -> str:
    with pytest.raises(UnsupportedModelError, match="no C kernel computes it") as caught:
        select_kernels(graph)
    return str(caught.value)


def test_kernels_refuse_what_they_cannot_compute() -> None:
    assert "the weights are computed" in refusal(node(CONV(), [(1.0, IMAGE)] * 2, 1.0))
    assert "batch 2" in refusal(node(AVERAGE(), [(1.0, (2, 4, 4, 1))], 1.0))
    assert "more loops" in refusal(node(MEAN((0, 2, 4)), [(1.0, (2, 2, 2, 2, 2))], 1.0))
    five = [(1.0, (1, 2, 2, 2, 2, 2)), (1.0, (1, 1, 2, 1, 2, 1))]
    assert "more than 4 dimensions" in refusal(node(ADD(), five, 1.0))
    with pytest.raises(UnsupportedModelError, match="double rounding"):
        select_kernels(node(ADD(), [(1.0, (1, 2))] * 2, 1.0), rounding="single")


def test_what_may_lie_over_its_input_does() -> None:
    graphs = {
        "pool": node(AVERAGE(2, 2, 2, 2), [(1.0, (1, 8, 8, 16))], 1.0),
        "mean": node(MEAN((1, 2)), [(1.0, (1, 8, 8, 16))], 1.0),
        "mul": node(MUL(), [(1.0, (1, 8, 8, 16)), (1.0, (1, 1, 1, 16))], 1.0),
    }
    found = {name: plan_arena(g, select_kernels(g)).bytes for name, g in graphs.items()}
    assert found == {"pool": 1024, "mean": 1024, "mul": 1024 + 16}
