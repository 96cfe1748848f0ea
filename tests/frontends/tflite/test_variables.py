"""What `.tflite` models remember: variables read, written back, and run step by step elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.backends.tflite import plan_for_tflm
from smidgen.backends.tflite.writer import write
from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.frontends.tflite.functions import signatures
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.schema import BuiltinOperator, Record, decode, encode
from smidgen.verify.runtimes import RuntimePool
from tests.graphs import difference
from tests.streaming import frames, ring

Array = np.ndarray[Any, Any]
STEPS = 100
FLOATS = TensorType((1, 2), "float32")


def int8_ring() -> Graph:
    return smidgen.quantize(ring(), frames(64), stream=True)


def delays() -> Graph:
    """Two states in a row, two that change places, and one that is a graph output as it is."""
    b = GraphBuilder("delays")
    x = b.input("x", FLOATS)
    first, second = b.state("first", FLOATS), b.state("second", FLOATS, np.full((1, 2), 7, "f4"))
    b.becomes(first, x)
    b.becomes(second, first)
    left, right = b.state("left", FLOATS, np.full((1, 2), 3, "f4")), b.state("right", FLOATS)
    b.becomes(left, right)
    b.becomes(right, left)
    return b.build([b.add(get_op("ADD")(), [second, left]), second])


def records(graph: Graph) -> Record:
    return decode(write(graph, names=True))


def code(model: Record, name: str) -> int:
    names = [BuiltinOperator(c["builtin_code"]).name for c in model["operator_codes"]]
    return names.index(name)


def operators(model: Record, name: str, subgraph: int = 0) -> list[Record]:
    number = code(model, name)
    found = model["subgraphs"][subgraph]["operators"]
    return [record for record in found if record["opcode_index"] == number]


def slow(graph: Graph, spread: float) -> Array:
    """Inputs that change slowly, as those of a spectrogram: noise alone hardly moves an output."""
    (type,) = graph.input_types
    steps = np.random.default_rng(1).normal(0, spread, (STEPS, *type.shape[1:])).cumsum(axis=0)
    limits = np.iinfo(type.dtype)
    return np.clip(steps, limits.min, limits.max).astype(type.dtype)


STREAMING = {  # file: how fast its inputs change, bytes of its states
    "mww_okay_nabu_v2": (6, 3472),
    "mww_vad_v2": (6, 1120),
    "tflm_keyword_scrambled_8bit": (500, 5120),
    "tflm_keyword_scrambled_float": (500, 10240),
}


@pytest.mark.e2e
@pytest.mark.parametrize("name", STREAMING)
def test_real_streaming_models_are_those_of_tflm_step_by_step(
    name: str, shared: Path, pool: RuntimePool
) -> None:
    path = shared / "zoo" / f"{name}.tflite"
    graph = read(path)
    spread, size = STREAMING[name]
    x = slow(graph, spread)
    for model in (path.read_bytes(), write(graph)):
        result = pool.run("tflm", model, [x], stream=True, intermediates=True)
        seen: dict[str, Array] = {}
        (want,) = interpret(graph, x, stream=True, observe=seen.__setitem__)
        np.testing.assert_array_equal(result.outputs[0].reshape(want.shape), want)
        assert result.tensors is not None
        computed = [
            seen[n]
            for node in graph.nodes
            for i, n in enumerate(node.outputs)
            if i not in node.op.states.values()  # type: ignore[attr-defined]
        ]
        for got, want in zip(result.tensors.values(), computed, strict=True):
            np.testing.assert_array_equal(got.reshape(want.shape), want)
        assert max(len(np.unique(t)) for t in computed) > 50
    (reference,) = interpret(graph, x, stream=True)
    firmware = smidgen.compile(graph, "nucleo-l4r5zi")
    assert firmware.state_bytes == size
    for on in ("host", "emulator"):
        (got,) = firmware.run(x, on, stream=True).outputs
        np.testing.assert_array_equal(got, reference)


@pytest.mark.oracle
@pytest.mark.parametrize("make", [ring, int8_ring, delays])
@pytest.mark.parametrize("runtime", ["tflm", "litert_ref"])
def test_states_are_written_and_read_back_and_run_elsewhere(
    make: Callable[[], Graph], runtime: Any, pool: RuntimePool
) -> None:
    graph = make()
    rounding = "single" if runtime == "litert_ref" else "double"
    for data in (write(graph), write(graph, offline_memory_plan=plan_for_tflm(graph))):
        assert difference(read(data), graph) == ""
        inputs = smidgen.random_inputs(graph, 20)
        for stream in (True, False):
            want = interpret(graph, inputs, stream=stream, rounding=rounding)
            got = pool.run(runtime, data, inputs, stream=stream).outputs
            for one, other in zip(got, want, strict=True):
                tolerance = 1e-5 if one.dtype == np.float32 else 0
                np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * 30)


def test_a_real_model_has_the_names_of_its_signature(shared: Path) -> None:
    graph = read(shared / "zoo" / "mww_vad_v2.tflite")
    assert (graph.inputs, graph.outputs) == (("input_audio",), ("dense",))
    names = [state.name for state in graph.states]
    assert names == ["stream/states", "stream_1/states", "stream_2/states", "stream_3/states"]


def test_names_and_the_key_of_a_signature_are_kept() -> None:
    model = records(ring())
    (signature,) = model["signature_defs"]
    signature["signature_key"] = "listen"
    signature["inputs"][0]["name"] = "audio"
    signature["outputs"][0]["name"] = "words"
    data = encode(model)
    assert signatures(data) == ("listen",)
    graph = read(data)
    assert (graph.inputs, graph.outputs, graph.signature) == (("audio",), ("words",), "listen")
    assert [s.name for s in graph.states] == ["past"]
    written = decode(write(graph, names=True))["signature_defs"][0]
    assert (written["signature_key"], written["inputs"][0]["name"]) == ("listen", "audio")


def two_functions() -> bytes:
    """A file with `listen`, and `clear`, which sets the state and returns what it was."""
    model = records(ring())
    b = GraphBuilder()
    value = b.input("value", TensorType((1, 3, 6), "float32"))
    past = b.state("past", TensorType((1, 3, 6), "float32"))
    b.becomes(past, value)
    clear = records(b.build([past]))
    for record in clear["subgraphs"][0]["operators"]:
        name = BuiltinOperator(clear["operator_codes"][record["opcode_index"]]["builtin_code"])
        record["opcode_index"] = code(model, name.name)
    model["subgraphs"].append(clear["subgraphs"][0])  # CALL_ONCE runs the subgraph 1 of `listen`
    second = {**clear["signature_defs"][0], "subgraph_index": 2, "signature_key": "clear"}
    model["signature_defs"] = [{**model["signature_defs"][0], "signature_key": "listen"}, second]
    return encode(model)


def test_functions_are_read_by_signature_and_share_their_states() -> None:
    data = two_functions()
    assert signatures(data) == ("listen", "clear")
    listen, clear = (read(data, signature=key) for key in signatures(data))
    assert difference(read(data), listen, names=True) == ""
    assert (listen.outputs, clear.outputs) == (("scores",), ("past",))
    assert [(s.name, s.shared) for s in (*listen.states, *clear.states)] == [("past", True)] * 2
    assert clear.states[0].output == "value"
    with pytest.raises(ModelFileError, match="no signature 'sing'") as caught:
        read(data, signature="sing")
    assert caught.value.hint == "the model has 'listen', 'clear'"


def test_a_variable_that_only_starts_somehow_is_a_constant() -> None:
    model = records(ring())
    operators(model, "ASSIGN_VARIABLE")[0]["inputs"] = []
    changed = model["subgraphs"][0]["operators"]
    changed.remove(operators(model, "ASSIGN_VARIABLE")[0])
    graph = read(encode(model))
    assert not graph.states
    assert graph.values["past"].is_constant


def test_a_variable_starts_at_zero_if_nothing_says_how() -> None:
    model = records(int8_ring())
    model["subgraphs"][0]["operators"].remove(operators(model, "CALL_ONCE")[0])
    graph = read(encode(model))
    quant = graph.type(graph.states[0].input).quant
    assert quant is not None and quant.zero_point
    assert (graph.states[0].initial == quant.zero_point).all()


def test_reads_after_an_assignment_see_it() -> None:
    """READ, ASSIGN, READ, ASSIGN: x + (x + s), where s becomes twice that."""
    b = GraphBuilder()
    x = b.input("x", FLOATS)
    s = b.state("s", FLOATS)
    first = b.add(get_op("ADD")(), [x, s], name="first")
    b.becomes(s, first)
    second = b.add(get_op("ADD")(), [x, first], name="second")
    model = records(b.build([b.add(get_op("ADD")(), [second, second], name="third")]))
    subgraph = model["subgraphs"][0]
    named = {t["name"]: i for i, t in enumerate(subgraph["tensors"])}
    subgraph["tensors"].append({**subgraph["tensors"][named["first"]], "name": "again"})
    again, handle = len(subgraph["tensors"]) - 1, named["s/handle"]
    assign, read_it = operators(model, "ASSIGN_VARIABLE")[0], operators(model, "READ_VARIABLE")[0]
    at = subgraph["operators"].index(assign) + 1
    subgraph["operators"].insert(at, {**read_it, "inputs": [handle], "outputs": [again]})
    subgraph["operators"][at + 1]["inputs"] = [named["x"], again]
    subgraph["operators"].append({**assign, "inputs": [handle, named["third"]]})
    graph = read(encode(model))
    assert (graph.states[0].output, len(graph.nodes)) == ("third", 3)
    got = interpret(graph, np.ones((3, 2), np.float32), stream=True)[0][:, 0]
    assert got.tolist() == [4, 12, 28]


def edit(change: Callable[[Record], None]) -> Record:
    model = copy.deepcopy(records(ring()))
    change(model)
    return model


def set_first(name: str, subgraph: int = 0, **fields: Any) -> Callable[[Record], None]:
    return lambda model: operators(model, name, subgraph)[0].update(fields)


def computed_start(model: Record) -> None:
    model["subgraphs"][1]["tensors"][1]["buffer"] = 0


def other_operator(model: Record) -> None:
    model["subgraphs"][1]["operators"][0]["opcode_index"] = code(model, "FULLY_CONNECTED")


def late_call_once(model: Record) -> None:
    found = model["subgraphs"][0]["operators"]
    found.append(found.pop(0))


def never_assigned(model: Record) -> None:
    found = model["subgraphs"][0]["operators"]
    for name in ("ASSIGN_VARIABLE", "CALL_ONCE"):
        found.remove(operators(model, name)[0])


def other_start(model: Record) -> None:
    model["subgraphs"][1]["tensors"][1]["shape"] = [1, 6, 3]


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (computed_start, UnsupportedModelError, "starts with what is computed"),
        (other_operator, UnsupportedModelError, "FULLY_CONNECTED is not supported where variables"),
        (late_call_once, UnsupportedModelError, "'past' is initialized after it is used"),
        (never_assigned, ModelFileError, "'past' is read, but nothing assigns it"),
        (other_start, ModelFileError, r"but starts as float32\[1, 6, 3\]"),
        (set_first("READ_VARIABLE", inputs=[0]), UnsupportedModelError, "no handle"),
        (set_first("ASSIGN_VARIABLE", inputs=[1]), ModelFileError, "has 1 inputs, not 2"),
        (
            set_first("CALL_ONCE", builtin_options=("CallOnceOptions", {"init_subgraph_index": 9})),
            ModelFileError,
            "runs subgraph 9 of 2",
        ),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(
    change: Callable[[Record], None], kind: type[SmidgenError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        read(encode(edit(change)))


def test_a_variable_of_two_scales_is_refused() -> None:
    model = records(int8_ring())
    assigned = next(t for t in model["subgraphs"][0]["tensors"] if t["name"] == "recent")
    assigned["quantization"]["scale"] = [2.5]
    with pytest.raises(UnsupportedModelError, match=r"'past' is int8.* in one place and .*2.5"):
        read(encode(model))
