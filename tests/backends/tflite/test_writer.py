"""Graphs to `.tflite` files: nothing lost, nothing superfluous, and the same answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smidgen.backends.tflite.writer import write
from smidgen.errors import GraphError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import run_node
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType, numpy_dtype
from smidgen.ops import Unsupported, all_ops, get_op
from smidgen.schema import BuiltinOperator, decode
from tests import foreign
from tests.graphs import difference

INT8 = [
    "models/mlperf_tiny/ad01_int8.tflite",
    "models/mlperf_tiny/kws_ref_model_int8.tflite",
    "models/mlperf_tiny/pretrainedResnet_quant.tflite",
    "models/mlperf_tiny/vww_96_int8.tflite",
    "zoo/silabs_kws_on_off_v3.tflite",
    "zoo/tflm_hello_world_int8.tflite",
    "zoo/tflm_person_detect_int8.tflite",
    "zoo/tinymaix_mnist_arduino_int8.tflite",
    "zoo/tinymaix_mnist_dw_int8.tflite",
]
FLOAT = [
    "models/mlperf_tiny/ad01_fp32.tflite",
    "models/mlperf_tiny/pretrainedResnet.tflite",
    "models/mlperf_tiny/vww_96_float.tflite",
    "zoo/tflm_hello_world_float.tflite",
    "zoo/tinymaix_mnist_dw_float.tflite",
]
REFUSED_BY_LITERT = "zoo/tflm_person_detect_int8.tflite"  # for an axis that reading mends
WRITABLE = [name for name, op in all_ops().items() if not isinstance(op.tflite_write, Unsupported)]


@pytest.mark.parametrize("name", INT8 + FLOAT)
def test_a_real_model_is_the_same_after_writing_and_reading(name: str, shared: Path) -> None:
    graph = read(shared / name)
    data = write(graph)
    assert not difference(graph, read(data))
    assert not difference(graph, read(write(graph, names=True)), names=True)
    assert write(read(data)) == data
    assert len(data) < (shared / name).stat().st_size


@pytest.mark.parametrize("name", [n for n in INT8 if "vww" not in n])
def test_the_scales_that_tflm_does_not_read_come_back(name: str, shared: Path) -> None:
    """Biases get input scale times weight scale; other converters round that product up or down."""
    graph = read(shared / name)
    again = read(write(graph, tflm_only=True))
    assert not difference(again, read(write(again, tflm_only=True)))
    for node, twin in zip(graph.nodes, again.nodes, strict=True):
        for have, want in zip(again.types(twin.inputs), graph.types(node.inputs), strict=True):
            if have is None or want is None or want.quant is None:
                assert have == want
                continue
            assert have.quant is not None
            assert have.quant.zero_points == want.quant.zero_points
            np.testing.assert_allclose(have.quant.scales, want.quant.scales, rtol=2e-7)


@pytest.mark.oracle
@pytest.mark.parametrize("name", INT8 + FLOAT)
def test_tflm_computes_the_same_bytes_from_our_file(name: str, shared: Path) -> None:
    data, graph = (shared / name).read_bytes(), read(shared / name)
    first, *others = foreign.run(
        "tflm", [data, write(graph), write(graph, names=True), write(graph, tflm_only=True)]
    )
    assert all(other == first for other in others)
    assert len(set(first)) > 3, "inputs that all give the same output prove little"


@pytest.mark.oracle
@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("name", [n for n in INT8 + FLOAT if n != REFUSED_BY_LITERT])
def test_litert_computes_the_same_bytes_from_our_file(
    name: str, resolver: str, shared: Path
) -> None:
    graph = read(shared / name)
    models = [(shared / name).read_bytes(), write(graph), write(graph, names=True)]
    first, *others = foreign.run(resolver, models, count=5)
    assert all(other == first for other in others)


@pytest.mark.oracle
def test_a_model_that_litert_refuses_is_mended_by_reading_and_writing(shared: Path) -> None:
    graph = read(shared / REFUSED_BY_LITERT)
    (outputs,) = foreign.run("BUILTIN_REF", [write(graph)])
    (expected,) = foreign.run("tflm", [write(graph)])
    assert outputs == expected


DELEGATED = """
import sys
from ai_edge_litert.interpreter import Interpreter
runtime = Interpreter(sys.argv[1])
runtime.allocate_tensors()
print(*(op["op_name"] for op in runtime._get_ops_details()))
print(runtime.get_signature_list())
print(*(detail["name"] for detail in runtime.get_tensor_details()))
"""


def litert_sees(data: bytes, folder: Path) -> tuple[list[str], str, str]:
    path = folder / "model.tflite"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", DELEGATED, str(path)], capture_output=True, text=True, check=True
    )
    operators, signatures, names = done.stdout.splitlines()
    return operators.split(), signatures, names


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["kws_ref_model_int8", "vww_96_int8", "ad01_int8"])
def test_xnnpack_takes_as_many_operators_of_our_file(
    name: str, shared: Path, tmp_path: Path
) -> None:
    path = shared / f"models/mlperf_tiny/{name}.tflite"
    ours, _, _ = litert_sees(write(read(path)), tmp_path)
    theirs, _, _ = litert_sees(path.read_bytes(), tmp_path)
    assert ours == theirs
    assert "DELEGATE" in ours


@pytest.mark.oracle
def test_names_and_a_signature_are_written_on_request(shared: Path, tmp_path: Path) -> None:
    graph = read(shared / "models/mlperf_tiny/ad01_int8.tflite")
    _, signatures, names = litert_sees(write(graph, names=True), tmp_path)
    key = {"inputs": list(graph.inputs), "outputs": list(graph.outputs)}
    assert signatures == str({"serving_default": key})
    assert set(names.split()) >= {*graph.inputs, *graph.outputs}
    _, signatures, names = litert_sees(write(graph), tmp_path)
    assert (signatures, names.strip()) == ("{}", "")


LARGER = {  # bytes beyond weights and biases: (upstream, at most, at most without LiteRT)
    "ad01_int8": (6_096, 2_700, 2_700),
    "pretrainedResnet_quant": (19_752, 7_200, 4_800),
    "kws_ref_model_int8": (29_568, 8_350, 5_400),
    "vww_96_int8": (114_224, 33_500, 18_000),
}


@pytest.mark.parametrize("name", LARGER)
def test_a_file_is_hardly_larger_than_the_constants_in_it(name: str, shared: Path) -> None:
    path = shared / f"models/mlperf_tiny/{name}.tflite"
    graph = read(path)
    upstream, ours, without_litert = LARGER[name]
    assert path.stat().st_size - graph.constant_bytes == upstream
    assert len(write(graph)) - graph.constant_bytes <= ours
    assert len(write(graph, tflm_only=True)) - graph.constant_bytes <= without_litert


def test_every_constant_is_aligned_and_there_are_no_two_equal_ones(shared: Path) -> None:
    data = write(read(shared / "models/mlperf_tiny/vww_96_int8.tflite"))
    start = np.frombuffer(data, np.uint8).ctypes.data
    buffers = [buffer["data"] for buffer in decode(data)["buffers"][1:]]
    assert all((buffer.ctypes.data - start) % 16 == 0 for buffer in buffers)
    assert len({buffer.tobytes() for buffer in buffers}) == len(buffers)


def twice_the_same() -> Graph:
    """Two convolutions with equal but separate constants, and one constant that nobody reads."""
    b = GraphBuilder("twins")
    q = QuantParams.per_tensor(0.5, 0)
    x = b.input("x", TensorType((1, 8, 8, 16), "int8", q))
    y = x
    for i in range(2):
        weights = b.constant(
            np.arange(256, dtype=np.uint8).view(np.int8).reshape(1, 4, 4, 16),
            name=f"weights{i}",
            quant=QuantParams.per_channel([0.01] * 16, 3),
        )
        y = b.add(get_op("DEPTHWISE_CONV_2D")(), [x if i == 0 else y, weights, None], quant=q)
    b.constant(np.ones(5000, np.float32), name="unused")
    return b.build([y])


def test_equal_constants_are_one_and_unused_ones_none() -> None:
    model = decode(write(twice_the_same()))
    assert len(model["buffers"]) == 3  # none, the weights, a bias of zeros
    assert len(model["subgraphs"][0]["tensors"]) == 5
    codes = [code["builtin_code"] for code in model["operator_codes"]]
    assert codes == [BuiltinOperator.DEPTHWISE_CONV_2D]
    named = decode(write(twice_the_same(), names=True))
    assert len(named["buffers"]) == 3
    names = [tensor["name"] for tensor in named["subgraphs"][0]["tensors"]]
    assert [name for name in names if "/" not in name] == [
        *("x", "weights0", "depthwise_conv_2d", "weights1", "depthwise_conv_2d_1")
    ]


def test_four_bit_constants_take_half_a_byte_each() -> None:
    b = GraphBuilder()
    values = np.array([[-8, 7, 0, -1, 5]], np.int8)
    quant = QuantParams.per_tensor(0.25)
    constant = b.constant(values, quant=quant, dtype="int4")
    graph = b.build([b.add(get_op("RESHAPE")((5, 1)), [constant], quant=quant)])
    data = write(graph)
    sizes = [buffer["data"].size for buffer in decode(data)["buffers"][1:]]
    assert sizes == [3, 8]  # the other is the shape
    assert not difference(graph, read(data))


def test_operands_left_out_at_the_end_are_not_written_and_others_are_minus_one() -> None:
    b, q = GraphBuilder(), QuantParams.per_tensor(0.5)
    x = b.input("x", TensorType((1, 3), "int8", q))
    w = b.constant(np.eye(3, dtype=np.int8), quant=q)
    graph = b.build([b.add(get_op("FULLY_CONNECTED")(), [x, w, None], quant=q)])
    (layer,) = decode(write(graph))["subgraphs"][0]["operators"]
    assert layer["inputs"].tolist() == [0, 1]


@pytest.mark.oracle
def test_inputs_and_outputs_keep_their_order() -> None:
    b = GraphBuilder()
    a, c = (b.input(name, TensorType((1, 2), "float32")) for name in "ac")
    b.input("unused", TensorType((1, 3), "float32"))
    double = b.add(get_op("ADD")(), [c, c])
    total = b.add(get_op("ADD")(), [a, double])
    data = write(b.build([total, c, double]))
    graph = read(data)
    assert [t.shape for t in graph.input_types] == [(1, 2), (1, 2), (1, 3)]
    assert graph.outputs[1] == graph.inputs[1]
    (results,) = foreign.run("BUILTIN_REF", [data], inputs=3, outputs=3, count=2)
    sums, seconds, doubles = np.frombuffer(results[1], np.float32).reshape(3, 2)
    np.testing.assert_array_equal(doubles, seconds * 2)
    assert not np.array_equal(sums, doubles)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(WRITABLE))
def test_every_operator_computes_the_same_after_writing_and_reading(
    data: st.DataObject, name: str
) -> None:
    graph = data.draw(get_op(name).samples()).graph(remembers=True)
    again = read(write(graph))
    assert (again.input_types, again.output_types) == (graph.input_types, graph.output_types)
    assert [node.op.name for node in again.nodes] == [name]
    assert not difference(again, read(write(again)))  # reading may normalize attributes, once
    rng = np.random.default_rng(0)
    inputs = [
        rng.integers(-128, 128, type.shape).astype(numpy_dtype(type.dtype))
        for type in graph.opened().input_types
    ]
    results = [
        run_node(g, g.nodes[0], dict(zip(g.sources, inputs, strict=True))) for g in (graph, again)
    ]
    for want, have in zip(*results, strict=True):
        np.testing.assert_array_equal(have, want)


def test_what_has_no_form_in_tflite_is_refused_by_the_name_of_its_node() -> None:
    missing = sorted(set(all_ops()) - set(WRITABLE))
    assert missing == ["BATCH_NORM"]
    b = GraphBuilder()
    x = b.input("x", TensorType((1, 2, 2, 3), "float32"))
    four = [b.constant(np.ones(3, np.float32)) for _ in range(4)]
    graph = b.build([b.add(get_op("BATCH_NORM")(), [x, *four], name="bn1")])
    with pytest.raises(UnsupportedModelError, match=r"^BATCH_NORM 'bn1': .*quantize the model"):
        write(graph)


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, path = twice_the_same(), tmp_path / "model.tflite"
    path.write_bytes(b"before")
    data = write(graph, path)
    assert path.read_bytes() == data
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write(graph, path, names=True)
    assert path.read_bytes() == data
    assert [item.name for item in tmp_path.iterdir() if item.name != "other"] == ["model.tflite"]


def test_writing_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(twice_the_same(), str(tmp_path / "a.tflite")) == write(twice_the_same())


# Offline memory plans


def apart(graph: Graph) -> dict[str, int]:
    """A plan that lets no two activations overlap."""
    plan, end = {}, 0
    for name, value in graph.values.items():
        if not value.is_constant:
            plan[name] = end
            end += -(-value.type.bytes // 16) * 16
    return plan


@pytest.mark.oracle
def test_tflm_follows_an_offline_memory_plan(shared: Path) -> None:
    graph = read(shared / "models/mlperf_tiny/pretrainedResnet_quant.tflite")
    plan = apart(graph)
    some = {name: plan[name] for name in list(plan)[:3]}
    everything_at_zero = dict.fromkeys(plan, 0)
    models = [
        write(graph),
        write(graph, offline_memory_plan=plan),
        write(graph, offline_memory_plan=some),
        write(graph, offline_memory_plan=everything_at_zero),
    ]
    free, planned, partly, clobbered = foreign.run("tflm", models)
    assert free == planned == partly
    assert clobbered != free, "the plan is read: a bad one does harm"


def test_the_plan_is_in_the_metadata_by_tensor(shared: Path) -> None:
    graph = read(shared / "zoo/tflm_hello_world_int8.tflite")
    (name,) = graph.outputs
    model = decode(write(graph, offline_memory_plan={name: 48}))
    (metadata,) = model["metadata"]
    assert metadata["name"] == "OfflineMemoryAllocation"
    numbers = model["buffers"][metadata["buffer"]]["data"].view("<i4").tolist()
    tensors = len(model["subgraphs"][0]["tensors"])
    assert numbers[:3] == [1, 0, tensors]
    offsets = numbers[3:]
    assert offsets.pop(int(model["subgraphs"][0]["outputs"][0])) == 48
    assert offsets == [-1] * (tensors - 1)
    assert decode(write(graph))["metadata"] is None


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"nobody": 0}, "'nobody', which is no activation"),
        ({"weights0": 0}, "no activation"),
        ({"x": 8}, "not at a multiple of 16"),
        ({"x": -16}, "at -16"),
    ],
)
def test_a_plan_that_does_not_fit_the_graph_is_refused(plan: dict[str, int], says: str) -> None:
    with pytest.raises(GraphError, match=says):
        write(twice_the_same(), offline_memory_plan=plan)


COMPACT = {"ad01_int8": 2_700, "pretrainedResnet_quant": 5_800, "kws_ref_model_int8": 5_900}


@pytest.mark.oracle
@pytest.mark.parametrize("name", COMPACT)
def test_a_compact_file_computes_the_same_bytes_everywhere(
    name: str, shared: Path, tmp_path: Path
) -> None:
    path = shared / f"models/mlperf_tiny/{name}.tflite"
    graph = read(path)
    small = write(graph, compact=True)
    assert len(small) - graph.constant_bytes <= COMPACT[name]
    for runtime in ("tflm", "BUILTIN_REF"):
        first, second = foreign.run(runtime, [path.read_bytes(), small], count=4)
        assert first == second
    (outputs,) = foreign.run("AUTO", [small], count=4)  # XNNPACK takes fewer layers, and it runs
    assert len(outputs) == 4
