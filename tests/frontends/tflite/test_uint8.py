"""uint8 models are int8 inside, and compute what LiteRT's reference kernels compute of uint8."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.c.host import QUICK, HostModel
from smidgen.backends.tflite.writer import write
from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph
from smidgen.ops import Sample, get_op
from smidgen.schema import TensorType as FileType
from smidgen.schema import decode, encode
from smidgen.verify.runtimes import RuntimePool
from tests.examples import examples
from tests.host_batch import HostBatch

Array = np.ndarray[Any, Any]

EXAMPLES = 12
OPERATORS = (
    *("ADD", "ARG_MAX", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D"),
    *("FULLY_CONNECTED", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "RELU", "RELU6", "RESHAPE"),
    *("RESIZE_BILINEAR", "SOFTMAX", "STRIDED_SLICE", "SUB", "TANH"),
)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def legacy(graph: Graph, weight_zero_point: int | None = None) -> bytes:
    """The uint8 file of an int8 graph, with another zero point of its weights if given."""
    model = decode(write(graph))
    subgraph = model["subgraphs"][0]
    raised = set()
    for number, tensor in enumerate(subgraph["tensors"]):
        if tensor["type"] != FileType.INT8:
            continue
        tensor["type"] = FileType.UINT8
        quantization = tensor["quantization"]
        quantization["zero_point"] = np.asarray(quantization["zero_point"], np.int64) + 128
        buffer = model["buffers"][tensor["buffer"]]
        if tensor["buffer"] and tensor["buffer"] not in raised:
            raised.add(tensor["buffer"])
            buffer["data"] = buffer["data"] ^ np.uint8(0x80)
        if weight_zero_point is not None and number == subgraph["operators"][0]["inputs"][1]:
            quantization["zero_point"] = np.array([weight_zero_point])
    for code in model["operator_codes"]:
        code["version"] = 1
    return encode(model)


def suits(sample: Sample) -> bool:
    """Whether it can be made a uint8 model: int8, one scale for the weights, and true biases."""
    types = [o.type for o in sample.operands if o is not None]
    inputs = [o.type for o in sample.operands if o is not None and o.data is None]
    if not inputs or any(t.dtype != "int8" or not t.rank or t.shape[0] != 1 for t in inputs):
        return False
    if any(
        t.dtype not in ("int8", "int32") or (t.quant and t.quant.axis is not None) for t in types
    ):
        return False
    if sample.op.name not in WEIGHTED:
        return True
    # LiteRT asks for biases whose scale is that of the sums.
    x, w, b, out = types[0].quant, types[1].quant, types[2:], sample.quant[0]
    assert x is not None and w is not None and out is not None
    return (
        bool(b)
        and b[0].quant is not None
        and abs(x.scale * w.scale - b[0].quant.scale) < 0.02 * out.scale
    )


@cache
def files(name: str) -> list[bytes]:
    """uint8 files of an operator; of those with weights, with zero points all over."""
    found = examples(get_op(name).samples().filter(suits), EXAMPLES, f"uint8 {name}")
    zero_points = [None, 128, 0, 255, 117, 133] if name in WEIGHTED else [None]
    return [
        legacy(sample.graph(), zero_points[i % len(zero_points)]) for i, sample in enumerate(found)
    ]


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_computes_what_litert_computes(name: str, pool: RuntimePool) -> None:
    graphs = [read(file) for file in files(name)]
    batch = HostBatch(graphs)
    rounding = "single" if name == "FULLY_CONNECTED" else "double"  # as with int8
    for i, (file, graph) in enumerate(zip(files(name), graphs, strict=True)):
        assert {t.dtype for t in graph.input_types} == {"uint8"}
        x = random_inputs(graph, 4)
        wanted = pool.run("litert_ref", file, x).outputs
        for got, want in zip(interpret(graph, x, rounding=rounding), wanted, strict=True):
            np.testing.assert_array_equal(got, want, str(graph))
        for got, want in zip(batch.run(i, x), interpret(graph, x), strict=True):
            np.testing.assert_array_equal(got, want, str(graph))


@pytest.mark.toolchain
@pytest.mark.emulator
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "raspberry-pi-pico"])
@pytest.mark.parametrize("name", [*WEIGHTED, "AVERAGE_POOL_2D", "RESIZE_BILINEAR"])
def test_on_emulated_cores(name: str, board: str) -> None:
    graph = read(files(name)[3])
    x = random_inputs(graph, 3)
    run = smidgen.compile(graph, board).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


def test_weights_keep_a_zero_point_only_where_int8_has_no_room() -> None:
    offsets = []
    for file in files("CONV_2D"):
        graph = read(file)
        (node,) = (n for n in graph.nodes if n.op.name == "CONV_2D")
        quant = graph.types(node.inputs)[1].quant  # type: ignore[union-attr]
        assert quant is not None
        offsets.append(quant.zero_point)
    assert 0 in offsets
    assert any(offsets)


def test_a_graph_whose_weights_have_a_zero_point_is_not_written() -> None:
    graph = read(files("CONV_2D")[3])
    with pytest.raises(UnsupportedModelError, match="weights with a zero point"):
        write(graph)


def test_int8_weights_with_a_zero_point_are_refused() -> None:
    (sample,) = examples(get_op("CONV_2D").samples().filter(suits), 1, "zero point")
    model = decode(write(sample.graph()))
    weights = model["subgraphs"][0]["operators"][0]["inputs"][1]
    model["subgraphs"][0]["tensors"][weights]["quantization"]["zero_point"] = np.array([3])
    with pytest.raises(UnsupportedModelError, match="zero point other than 0"):
        read(encode(model))


def test_an_input_that_is_not_there_is_refused() -> None:
    model = decode(files("ADD")[0])
    model["subgraphs"][0]["inputs"] = np.array([99], np.int32)
    with pytest.raises(ModelFileError, match="tensor 99"):
        read(encode(model))


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.e2e
def test_deeplab_computes_what_litert_computes(shared: Path, pool: RuntimePool) -> None:
    path = shared / "zoo/coral_deeplabv3_mnv2_dm05_uint8.tflite"
    graph = read(path)
    assert [str(t.with_quant(None)) for t in graph.input_types] == ["uint8[1,513,513,3]"]
    assert [str(t) for t in graph.output_types] == ["int64[1,513,513]"]
    x = random_inputs(graph, 5)[0][[2, 4]]
    want = pool.run("litert_ref", path.read_bytes(), [x], timeout=300).outputs[0]
    np.testing.assert_array_equal(HostModel(graph, flags=("-O2",)).run(x)[0], want)


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.e2e
def test_bytes_at_the_door_stay_as_they_are(shared: Path, pool: RuntimePool) -> None:
    """MobileNet: int8 inside, uint8 outside, as converters make it today."""
    path = shared / "zoo/coral_tf2_mobilenet_v2_1.0_224_ptq.tflite"
    graph = read(path)
    assert [t.dtype for t in (*graph.input_types, *graph.output_types)] == ["uint8", "uint8"]
    x = random_inputs(graph, 3)[0][2:]
    want = pool.run("tflm", path.read_bytes(), [x], timeout=300).outputs[0]
    np.testing.assert_array_equal(HostModel(graph, flags=QUICK).run(x)[0], want)
