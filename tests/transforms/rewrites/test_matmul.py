from __future__ import annotations

import numpy as np
import pytest

from smidgen.transforms.rewrites import matmul_to_fully_connected, transposed_matmul
from tests.transforms.rewrites.hand import Net, ops, rewritten

CLOSE = 1e-5
BOTH = (transposed_matmul.RULE, matmul_to_fully_connected.RULE)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("operand", [0, 1])
@pytest.mark.parametrize("adjoint", [False, True])
def test_swapped_matrices_are_read_as_they_were(dtype: str, operand: int, adjoint: bool) -> None:
    n = Net(dtype, image=(1, 2, 4, 4))
    swapped = n.add("TRANSPOSE", n.x, perm=(0, 1, 3, 2))
    operands = [n.x, n.x]
    operands[operand] = swapped
    flags = {("adj_x", "adj_y")[operand]: adjoint}
    graph = n.build(n.add("BATCH_MATMUL", *operands, name="product", **flags))
    small, report = rewritten(graph, *BOTH, tolerance=0 if dtype == "int8" else CLOSE)
    assert ops(small) == ["BATCH_MATMUL"]
    assert getattr(small.nodes[0].op, ("adj_x", "adj_y")[operand]) is not adjoint
    assert report.changes[0].what == f"reads {'xy'[operand]} as {graph.nodes[0].label} does"


def test_a_transpose_that_others_read_stays_for_them() -> None:
    n = Net("int8", image=(1, 2, 4, 4))
    swapped = n.add("TRANSPOSE", n.x, perm=(0, 1, 3, 2))
    product = n.add("BATCH_MATMUL", n.x, swapped)
    small, _ = rewritten(n.build(product, swapped), *BOTH)
    assert sorted(ops(small)) == ["BATCH_MATMUL", "TRANSPOSE"]


def test_a_transpose_of_other_axes_stays() -> None:
    n = Net("int8", image=(1, 4, 4, 4))
    turned = n.add("TRANSPOSE", n.x, perm=(0, 3, 1, 2))
    small, report = rewritten(n.build(n.add("BATCH_MATMUL", n.x, turned)), *BOTH)
    assert ops(small) == ["TRANSPOSE", "BATCH_MATMUL"]
    assert not report.changes


@pytest.mark.parametrize("shape", [(3, 5), (1, 3, 5), (1, 1, 3, 5)])
@pytest.mark.parametrize("adjoint", [False, True])
def test_a_constant_matrix_is_weights(shape: tuple[int, ...], adjoint: bool) -> None:
    n = Net(image=(1, 6, 2, 3))
    c = n.constant(*shape[:-2], *(shape[-2:][::-1] if adjoint else shape[-2:]))
    graph = n.build(n.add("BATCH_MATMUL", n.x, c, name="product", adj_y=adjoint))
    small, report = rewritten(graph, *BOTH, tolerance=CLOSE)
    assert ops(small) == ["FULLY_CONNECTED"]
    assert small.type(small.nodes[0].inputs[1] or "").shape == (5, 3)
    assert "now FULLY_CONNECTED" in report.changes[0].what


def test_integers_round_differently_and_keep_their_operator() -> None:
    n = Net("int8", image=(1, 2, 3))
    graph = n.build(n.add("BATCH_MATMUL", n.x, n.constant(3, 5)))
    assert ops(rewritten(graph, *BOTH)[0]) == ["BATCH_MATMUL"]


@pytest.mark.parametrize(
    ("image", "constant", "how"),
    [
        ((1, 2, 3), (4, 3, 5), {}),  # four products
        ((1, 3, 2), (3, 5), {"adj_x": True}),
        ((1, 3), (1, 1, 3, 5), {}),  # the result has more axes than x
    ],
)
def test_what_is_no_layer_stays(
    image: tuple[int, ...], constant: tuple[int, ...], how: dict[str, bool]
) -> None:
    n = Net(image=image)
    graph = n.build(n.add("BATCH_MATMUL", n.x, n.constant(*constant), **how))
    assert ops(rewritten(graph, *BOTH, tolerance=CLOSE)[0]) == ["BATCH_MATMUL"]


def test_a_constant_on_the_left_stays() -> None:
    n = Net(image=(1, 3, 2))
    c = n.b.constant(np.ones((1, 4, 3), np.float32))
    assert ops(rewritten(n.build(n.add("BATCH_MATMUL", c, n.x)), *BOTH, tolerance=CLOSE)[0]) == [
        "BATCH_MATMUL"
    ]
