"""Graphs in which not every layer can be an integer one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.host import HostModel
from smidgen.backends.tflite.writer import write
from smidgen.data import decode, encode
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.transforms.quantize import float_layers, quantize
from smidgen.verify.runtimes import RuntimePool

Array = np.ndarray[Any, Any]
SHAPE = (1, 6, 5, 4)


def images(count: int = 64, scale: float = 1.0) -> Array:
    return np.random.default_rng(0).normal(0, scale, (count, *SHAPE[1:])).astype(np.float32)


def conv(builder: GraphBuilder, x: str, seed: int) -> str:
    w = np.random.default_rng(seed).normal(0, 0.3, (4, 3, 3, 4)).astype(np.float32)
    return builder.add(get_op("CONV_2D")(padding="SAME"), [x, builder.constant(w)])


def between_convolutions(name: str) -> Graph:
    builder = GraphBuilder(name.lower())
    x = conv(builder, builder.input("x", TensorType(SHAPE, "float32")), 1)
    return builder.build([conv(builder, builder.add(get_op(name)(), [x], outputs=["f"]), 2)])


def chosen_where_larger(scale: float = 1.0) -> Graph:
    """Where x > 0 a convolution of x, elsewhere x; and the channel that is the largest."""
    builder = GraphBuilder("chosen")
    x = builder.input("x", TensorType(SHAPE, "float32"))
    y = conv(builder, x, 3)
    zero = builder.constant(np.zeros((1, 1, 1, 1), np.float32))
    larger = builder.add(get_op("GREATER")(), [x, zero], outputs=["larger"])
    both = builder.add(get_op("SELECT_V2")(), [larger, y, x], outputs=["both"])
    return builder.build([both, builder.add(get_op("ARG_MAX")(3), [both], outputs=["where"])])


def dtypes(graph: Graph) -> dict[str, str]:
    return {name: graph.type(name).dtype for name in graph.values}


@pytest.mark.parametrize("name", ["SIN", "SIGN", "FLOOR"])
def test_a_layer_without_an_integer_kernel_stays_float(name: str) -> None:
    graph = quantize(between_convolutions(name), images())
    (layer,) = float_layers(graph)
    assert (layer.value, layer.elements, layer.converted) == ("f", 120, 240)
    assert "no runtime computes it in integers" in layer.reason
    assert [n.op.name for n in graph.nodes] == [
        "CONV_2D", "DEQUANTIZE", name, "QUANTIZE", "CONV_2D"
    ]  # fmt: skip
    assert dtypes(graph)["f"] == "float32"


@pytest.mark.toolchain
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["SIN", "NEG", "SQUARE", "EXP", "GELU", "ABS", "ELU"])
def test_a_mixed_graph_runs_everywhere(name: str) -> None:
    source, x = between_convolutions(name), images()
    graph = quantize(source, x)
    (real,) = interpret(source, x)
    (quant,) = (t for t in graph.output_types)
    inputs = [encode(graph.input_types[0], x)]
    (want,) = interpret(graph, inputs)
    assert np.abs(decode(quant, want) - real).max() < 0.1 * np.abs(real).max()
    runtime = "litert_ref" if name in ("EXP", "GELU") else "tflm"
    with RuntimePool() as pool:
        engines = [
            HostModel(graph, flags=["-O1"]).run(inputs)[0],
            pool.run(runtime, write(graph), inputs).outputs[0],
        ]
    for got in engines:  # a float that is rounded to another level moves what it is added to
        assert np.abs(got.astype(int) - want).max() <= 2
        assert (got != want).mean() < 0.01


@pytest.mark.toolchain
@pytest.mark.oracle
def test_truth_values_and_indices_are_found_among_integers() -> None:
    graph = quantize(chosen_where_larger(), images())
    assert float_layers(graph) == []
    kinds = dtypes(graph)
    assert (kinds["larger"], kinds["both"], kinds["where"]) == ("bool", "int8", "int32")
    assert "DEQUANTIZE" not in {node.op.name for node in graph.nodes}
    inputs = [encode(graph.input_types[0], images())]
    want = interpret(graph, inputs)
    with RuntimePool() as pool:
        for got in (
            HostModel(graph, flags=["-O1"]).run(inputs),
            pool.run("tflm", write(graph), inputs).outputs,
            interpret(read(write(graph)), inputs),
        ):
            for one, other in zip(got, want, strict=True):
                np.testing.assert_array_equal(one, other)


def test_scales_that_no_kernel_takes_leave_a_layer_in_floats() -> None:
    """Runtimes compare numbers of scales below 1 alone."""
    graph = quantize(chosen_where_larger(), images(scale=100))
    (layer,) = float_layers(graph)
    assert layer.value == "larger"
    assert "scales" in layer.reason
    assert dtypes(graph)["both"] == "int8"


def test_arithmetic_on_counts_passes_through() -> None:
    builder = GraphBuilder("counts")
    x = builder.input("x", TensorType(SHAPE, "float32"))
    where = builder.add(get_op("ARG_MAX")(3), [conv(builder, x, 4)])
    two = builder.constant(np.array([2], np.int32))
    last = builder.add(get_op("MINIMUM")(), [where, two])
    even = builder.add(get_op("EQUAL")(), [builder.add(get_op("FLOOR_MOD")(), [last, two]), two])
    graph = quantize(builder.build([last, even]), images())
    assert float_layers(graph) == []
    assert [t.dtype for t in graph.output_types] == ["int32", "bool"]


def test_the_cost_is_printed(tmp_path: Any, capsys: Any) -> None:
    from smidgen import tables

    graph = smidgen.quantize(between_convolutions("COS"), images())
    facts = [vars(layer) for layer in float_layers(graph)]
    (table,) = tables.float_layers(facts)
    assert table.title == "Layers that stay in float32"
    assert tables.float_layers([]) == []
