"""What the matrix does not ask of TRANSPOSE_CONV: sizes, refusals, padding, batch normalization."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from smidgen.backends.tflite.writer import write
from smidgen.errors import UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import NodeTypes, TfliteNode, get_op
from smidgen.transforms.rewrites import simplify
from tests.graphs import difference

TRANSPOSED, NORM = get_op("TRANSPOSE_CONV"), get_op("BATCH_NORM")


def floats(*shapes: tuple[int, ...]) -> tuple[TensorType, ...]:
    return tuple(TensorType(shape, "float32") for shape in shapes)


def layer(**fields: Any) -> Any:
    return TRANSPOSED(**{"stride_h": 2, "stride_w": 2, **fields})


@pytest.mark.parametrize(
    ("size", "padding"), [(7, "VALID"), (8, "VALID"), (6, "SAME"), (5, "SAME")]
)
def test_every_size_that_leads_to_the_input_is_taken(size: int, padding: str) -> None:
    op = layer(output_height=size, output_width=size, padding=padding)
    (out,) = op.infer(*floats((1, 3, 3, 4), (5, 3, 3, 4)))
    assert out.shape == (1, size, size, 5)


@pytest.mark.parametrize(
    ("size", "padding"), [(6, "VALID"), (9, "VALID"), (4, "SAME"), (7, "SAME")]
)
def test_other_sizes_are_refused(size: int, padding: str) -> None:
    op = layer(output_height=size, output_width=size, padding=padding)
    with pytest.raises(ValueError, match=f"an input of 3 x 3 does not become {size} x {size}"):
        op.infer(*floats((1, 3, 3, 4), (5, 3, 3, 4)))


@pytest.mark.parametrize(
    ("types", "why"),
    [
        (floats((1, 3, 3, 4), (5, 3, 3, 3)), "4 input channels for weights of shape (5, 3, 3, 3)"),
        (floats((1, 3, 3, 4), (5, 3, 3, 4), (4,)), "bias of shape (4,) for 5 output channels"),
        (floats((1, 3, 3), (5, 3, 3, 4)), "input must have rank 4"),
        ((TensorType((1, 3, 3, 4), "int8"), TensorType((5, 3, 3, 4), "int4")), "int4"),
    ],
)
def test_operands_that_do_not_fit_are_refused(types: tuple[TensorType, ...], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        layer(output_height=7, output_width=7).infer(*types)


def test_it_is_the_adjoint_of_the_convolution_with_its_window() -> None:
    """The sum of products with y of the convolution of x is that of x with y transposed."""
    rng = np.random.default_rng(0)
    for padding, size in (("SAME", 7), ("VALID", 8)):
        window = {"stride_h": 2, "stride_w": 2, "padding": padding}
        conv = get_op("CONV_2D")(**window)
        op = layer(output_height=size, output_width=size, padding=padding)
        x = rng.normal(size=(1, size, size, 3)).astype(np.float32)
        w = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
        (forward,) = conv.float_ref(x, w)
        y = rng.normal(size=forward.shape).astype(np.float32)
        (back,) = op.float_ref(y, w.transpose(3, 1, 2, 0))
        np.testing.assert_allclose((forward * y).sum(), (back * x).sum(), rtol=1e-4)


def test_a_file_whose_shape_operand_contradicts_its_output_is_refused() -> None:
    op = layer(output_height=7, output_width=7)
    types = floats((1, 3, 3, 4), (5, 3, 3, 4))
    form = op.tflite_write(NodeTypes(types, op.infer(*types)))
    shape = np.array([1, 8, 8, 5], np.int32)
    file_types = (TensorType((4,), "int32"), types[1], types[0])
    node = TfliteNode(form.fields, file_types, (shape, None, None), op.infer(*types))
    with pytest.raises(UnsupportedModelError, match=re.escape("asks for shape [1, 8, 8, 5]")):
        TRANSPOSED.tflite_read(node)
    again, operands = TRANSPOSED.tflite_read(dataclasses.replace(node, constants=(None,) * 3))
    assert (again, operands) == (op, (2, 1))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_batch_normalization_is_folded_where_that_is_right(before: bool, offset: float) -> None:
    rng = np.random.default_rng(1)
    builder = GraphBuilder()

    def norm(x: str, channels: int) -> str:
        constants = [rng.uniform(0.5, 2, channels), np.full(channels, offset)]
        constants += [np.zeros(channels), rng.uniform(0.5, 2, channels)]
        return builder.add(
            NORM(1e-3), [x, *(builder.constant(c.astype(np.float32)) for c in constants)]
        )

    x = builder.input("x", TensorType((1, 3, 3, 4), "float32"))
    y = x if before else norm(x, 4)
    w = builder.constant(rng.normal(size=(5, 3, 3, 4)).astype(np.float32))
    y = builder.add(layer(output_height=6, output_width=6, padding="SAME"), [y, w])
    graph = builder.build([norm(y, 5) if before else y])
    simple = simplify(graph)
    assert ("TRANSPOSE_CONV" in [n.op.name for n in simple.nodes]) and (
        len(simple.nodes) == (1 if before or not offset else 3)
    )
    given = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        interpret(simple, given)[0], interpret(graph, given)[0], rtol=1e-3, atol=1e-4
    )


def test_a_file_without_bias_has_three_operands() -> None:
    builder = GraphBuilder()
    x = builder.input("x", TensorType((1, 3, 3, 1), "float32"))
    w = builder.constant(np.ones((2, 3, 3, 1), np.float32))
    graph = builder.build([builder.add(layer(output_height=7, output_width=7), [x, w])])
    assert difference(graph, read(write(graph))) == ""
