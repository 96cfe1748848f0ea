"""The reference interpreter's own promises; what operators compute is tested with them."""

from __future__ import annotations

import numpy as np

from smidgen.interpreter import interpret, random_inputs, widens
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op


def test_outputs_that_depend_on_no_input_have_a_row_for_every_sample() -> None:
    b = GraphBuilder()
    x = b.input("x", TensorType((1, 2), "float32"))
    c = b.constant(np.array([[-1, 0, 1]], np.float32))
    relu = get_op("RELU")
    graph = b.build([b.add(relu(), [x]), b.add(relu(), [c]), c])
    for count in (1, 4):
        outputs = interpret(graph, np.ones((count, 2), np.float32))
        assert [a.shape for a in outputs] == [(count, 2), (count, 3), (count, 3)]
        assert (outputs[1] == [0, 0, 1]).all()
        assert (outputs[2] == [-1, 0, 1]).all()


def test_a_constant_of_one_element_lets_samples_lie_side_by_side() -> None:
    b = GraphBuilder("scaled")
    x = b.input("x", TensorType((1, 4, 3), "float32"))
    half = b.constant(np.array([0.5], np.float32), name="half")
    graph = b.build([b.add(get_op("MUL")(), [x, half])])
    assert widens(graph)
    inputs = random_inputs(graph, 5)
    np.testing.assert_array_equal(interpret(graph, inputs)[0], inputs[0] * 0.5)
