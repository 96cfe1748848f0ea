"""What fuzzing found, kept: files that load, and then must not end in a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen import load, random_inputs, write_tflite
from smidgen.backends.c.host import HostModel
from smidgen.errors import GraphError, SmidgenError, UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, GraphEditor, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites import simplify
from smidgen.transforms.rewrites._edit import set_constant


def with_bias(path: Path, value: float) -> Graph:
    """A model whose first layer has `value` in its bias."""
    graph = load(path)
    edit = GraphEditor(graph)
    node = next(n for n in edit.nodes if len(n.inputs) > 2 and n.inputs[2] is not None)
    bias = graph.data(node.inputs[2])
    assert bias is not None and node.inputs[2] is not None
    changed = bias.copy()
    changed[0] = value
    set_constant(edit, node, 2, changed, quant=graph.type(node.inputs[2]).quant)
    return edit.finish()


def test_sums_that_leave_32_bits_are_refused(shared: Path) -> None:
    graph = with_bias(shared / "models/mlperf_tiny/ad01_int8.tflite", -(2**31))
    with pytest.raises(UnsupportedModelError, match="do not fit 32 bits"):
        HostModel(graph)
    with pytest.raises(GraphError, match="quantize the model again"):
        interpret(graph, random_inputs(graph, 32))


def test_large_and_infinite_constants_compile_and_nan_is_refused(shared: Path) -> None:
    file = shared / "models/mlperf_tiny/pretrainedResnet.tflite"
    for value in (7e33, np.inf, -np.inf):
        graph = with_bias(file, value)
        inputs = random_inputs(graph, 2)
        with np.errstate(all="ignore"):
            want = interpret(graph, inputs)
        got = HostModel(graph, flags=("-O1",)).run(inputs)
        np.testing.assert_array_equal(np.isnan(got[0]), np.isnan(want[0]))
    with pytest.raises(SmidgenError, match="a constant holds NaN"):
        HostModel(with_bias(file, np.nan))
    simplify(with_bias(file, np.frombuffer(b"\x01\x00\x80\x7f", np.float32)[0]))  # signalling


def test_infinities_are_written_to_c() -> None:
    builder = GraphBuilder("mask")
    x = builder.input("x", TensorType((1, 4), "float32"))
    mask = builder.constant(np.array([[0, -np.inf, 0, np.inf]], np.float32))
    graph = builder.build([builder.add(get_op("ADD")(), [x, mask])])
    (y,) = HostModel(graph).run(np.ones((1, 4), np.float32))
    assert y.tolist() == [[1.0, -np.inf, 1.0, np.inf]]
    assert write_tflite(graph)
