"""`.tflite` files to graphs: real ones, and what small ones show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.frontends.tflite.tensors import FileTensors
from smidgen.interpreter import interpret
from smidgen.ir import QuantParams, TensorType
from smidgen.schema import TensorType as FileType
from smidgen.schema import decode, encode
from smidgen.verify.runtimes import RuntimePool
from tests.frontends.tflite.small import operator, small, tensor
from tests.graphs import difference

READABLE = {  # file: (input, output, operators)
    "models/mlperf_tiny/ad01_fp32.tflite": ("float32[1,640]", "float32[1,640]", 10),
    "models/mlperf_tiny/ad01_int8.tflite": ("int8[1,640]", "int8[1,640]", 10),
    "models/mlperf_tiny/kws_ref_model_float32.tflite": ("float32[1,49,10,1]", "float32[1,12]", 13),
    "models/mlperf_tiny/kws_ref_model_int8.tflite": ("int8[1,49,10,1]", "int8[1,12]", 13),
    "models/mlperf_tiny/pretrainedResnet.tflite": ("float32[1,32,32,3]", "float32[1,10]", 16),
    "models/mlperf_tiny/pretrainedResnet_quant.tflite": ("int8[1,32,32,3]", "int8[1,10]", 16),
    "models/mlperf_tiny/vww_96_float.tflite": ("float32[1,96,96,3]", "float32[1,2]", 31),
    "models/mlperf_tiny/vww_96_int8.tflite": ("int8[1,96,96,3]", "int8[1,2]", 31),
    "zoo/mp_face_full_range_sparse.tflite": ("float32[1,192,192,3]", "float32[1,2304,16]", 160),
    "zoo/oww_embedding_model.tflite": ("float32[1,76,32,1]", "float32[1,1,1,96]", 64),
    "zoo/support_movie_review_nl.tflite": ("int32[1,256]", "float32[1,2]", 5),
    "zoo/coral_deeplabv3_mnv2_dm05_uint8.tflite": ("uint8[1,513,513,3]", "int64[1,513,513]", 81),
    "zoo/silabs_kws_on_off_v3.tflite": ("int8[1,98,1,104]", "int8[1,3]", 107),
    "zoo/tflm_hello_world_float.tflite": ("float32[1,1]", "float32[1,1]", 3),
    "zoo/tflm_hello_world_int8.tflite": ("int8[1,1]", "int8[1,1]", 3),
    "zoo/tflm_person_detect_int8.tflite": ("int8[1,96,96,1]", "int8[1,2]", 31),
    "zoo/tinymaix_mbnet96_0.25_float.tflite": ("float32[1,96,96,3]", "float32[1,1000]", 32),
    "zoo/tinymaix_mbnet96_0.25_int8.tflite": ("int8[1,96,96,3]", "int8[1,1000]", 32),
    "zoo/tinymaix_mnist_arduino_int8.tflite": ("int8[1,28,28,1]", "int8[1,10]", 6),
    "zoo/tinymaix_mnist_dw_float.tflite": ("float32[1,28,28,1]", "float32[1,10]", 7),
    "zoo/tinymaix_mnist_dw_int8.tflite": ("int8[1,28,28,1]", "int8[1,10]", 7),
}
REFUSED = {  # file: what the message says
    "zoo/tflm_audio_preprocessor_int8.tflite": "CUSTOM 'SignalWindow'",
}


@pytest.mark.parametrize("name", READABLE)
def test_a_real_model_is_read_whole(name: str, shared: Path) -> None:
    graph = read(shared / name)
    types = (*graph.input_types, *graph.output_types[:1])
    shown = tuple(str(type.with_quant(None)) for type in types)
    assert (*shown, len(graph.nodes)) == READABLE[name]
    assert graph.name == Path(name).stem
    assert graph.is_quantized == ("int8" in name or "quant" in name or "silabs" in name)


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_model_with_what_we_lack_is_refused_by_name(name: str, shared: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=REFUSED[name]) as caught:
        read(shared / name)
    assert caught.value.where is not None
    assert caught.value.where.startswith(Path(name).name)
    assert caught.value.hint


def test_the_visual_wake_words_model_has_the_operators_and_constants_of_its_file(
    shared: Path,
) -> None:
    graph = read(shared / "models/mlperf_tiny/vww_96_int8.tflite")
    operators = Counter(node.op.name for node in graph.nodes)
    assert operators == {
        "CONV_2D": 14,
        "DEPTHWISE_CONV_2D": 13,
        "AVERAGE_POOL_2D": 1,
        "RESHAPE": 1,
        "FULLY_CONNECTED": 1,
        "SOFTMAX": 1,
    }
    assert graph.constant_bytes == 219_064  # weights and biases; the file has a shape as well
    first = graph.type(graph.inputs[0]).quant
    assert first == QuantParams.per_tensor(0.003921568859368563, -128)
    weights = graph.type(graph.nodes[0].inputs[1] or "").quant
    assert weights is not None
    assert (weights.axis, len(weights.scales)) == (0, 8)


@pytest.mark.oracle
def test_a_dynamic_range_model_is_a_float_one(shared: Path, pool: RuntimePool) -> None:
    """LiteRT quantizes its activations as it goes, which costs a little that a float model has."""
    path = shared / "models/mlperf_tiny/kws_ref_model_float32.tflite"
    graph = read(path)
    assert {value.type.dtype for value in graph.values.values()} == {"float32"}
    assert not any(value.type.quant for value in graph.values.values())
    x = np.random.default_rng(0).normal(0, 5, (20, 49, 10, 1)).astype(np.float32)
    want = pool.run("litert_ref", path.read_bytes(), [x]).outputs[0]
    (got,) = interpret(graph, x)
    assert (got.argmax(-1) == want.argmax(-1)).all()
    assert np.abs(got - want).max() < 0.1


def test_a_path_as_text_and_the_bytes_themselves_are_read_as_well(shared: Path) -> None:
    path = shared / "zoo/tflm_hello_world_int8.tflite"
    assert read(str(path)).name == "tflm_hello_world_int8"
    assert read(path.read_bytes()).name == "model"
    assert read(path.read_bytes(), name="sine").name == "sine"


def test_constants_are_views_that_nobody_can_write(shared: Path) -> None:
    graph = read(shared / "zoo/tflm_hello_world_int8.tflite")
    constants = [value.data for value in graph.values.values() if value.data is not None]
    assert constants
    assert not any(data.flags.writeable for data in constants)


def test_a_file_that_is_not_there_or_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.tflite: cannot be read: No such file"):
        read(tmp_path / "absent.tflite")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "photo.tflite").write_bytes(b"\x89PNG\r\n\x1a\n" * 4)
    with pytest.raises(ModelFileError, match=r"photo\.tflite: not a TFL3 file"):
        read(tmp_path / "photo.tflite")


def test_a_file_over_the_limit_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse: takes no room
    with pytest.raises(ModelFileError, match="1,073,741,825 bytes are more than"):
        read(path)


def test_the_small_model_is_read() -> None:
    graph = read(encode(small()))
    conv, relu = graph.nodes
    assert (conv.op.name, relu.op.name) == ("CONV_2D", "RELU")
    assert conv.inputs == ("x", "w", "b")
    assert graph.type("y") == TensorType((1, 4, 4, 3), "int8", QuantParams.per_tensor(0.5, 3))
    data = graph.data("b")
    assert data is not None
    assert (data.tolist(), str(data.dtype)) == ([0, 1, 2], "int32")


def test_an_operand_of_minus_one_or_beyond_the_list_is_left_out() -> None:
    for inputs in ([0, 1, -1], [0, 1]):
        model = small()
        operator(model, 0)["inputs"] = inputs
        assert read(encode(model)).nodes[0].inputs == ("x", "w")


def test_names_are_made_unique_printable_and_short() -> None:
    model = small()
    tensor(model, 3)["name"] = "x"
    tensor(model, 4)["name"] = "evil\n\x1b[2J" + "a" * 1000
    tensor(model, 1)["name"] = None
    graph = read(encode(model))
    assert graph.inputs == ("x",)
    assert graph.nodes[0].outputs == ("x_1",)
    assert graph.nodes[0].inputs[1] == "t1"
    assert graph.outputs[0].startswith(r"evil\n\x1b[2Jaaa")
    assert len(graph.outputs[0]) == 256


def test_one_zero_point_serves_all_channels_and_a_bias_without_scales_gets_them() -> None:
    model = small()
    tensor(model, 1)["quantization"]["zero_point"] = [0]
    tensor(model, 2)["quantization"] = None
    graph, whole = read(encode(model)), read(encode(small()))
    name = graph.nodes[0].inputs[2]
    assert name is not None
    assert graph.type("w") == whole.type("w")
    assert graph.type(name) == whole.type("b")


@pytest.mark.parametrize("scale", [1e-30, 1e20])
def test_a_bias_scale_that_is_no_float32_number_is_left_out(scale: float) -> None:
    model = small()
    tensor(model, 0)["quantization"] = {"scale": [scale], "zero_point": [0]}
    tensor(model, 1)["quantization"]["scale"] = [scale] * 3
    tensor(model, 2)["quantization"] = None
    for output in (3, 4):
        tensor(model, output)["quantization"] = {"scale": [1e38], "zero_point": [0]}
    assert read(encode(model)).type("b").quant is None


def test_the_axis_of_old_converters_biases_is_mended() -> None:
    model = small()
    tensor(model, 2)["quantization"]["quantized_dimension"] = 3
    quant = read(encode(model)).type("b").quant
    assert quant is not None
    assert quant.axis == 0


def test_four_bit_weights_are_unpacked_low_half_first() -> None:
    records = [{"shape": [5], "type": FileType.INT4, "buffer": 1}]
    buffers = [{}, {"data": [0x21, 0xF8, 0x07]}]
    model = decode(encode({"subgraphs": [{"tensors": records}], "buffers": buffers}))
    tensors = FileTensors(model["subgraphs"][0]["tensors"], model["buffers"])
    data = tensors.data(0)
    assert data is not None
    assert (data.tolist(), str(data.dtype)) == ([1, 2, -8, -1, 7], "int8")
    assert tensors.type(0).bytes == 3


@pytest.mark.parametrize("shift", range(1, 4))
def test_constants_that_a_writer_forgot_to_align_are_read(shift: int) -> None:
    data = encode(small())
    root = int.from_bytes(data[:4], "little")
    moved = (root + shift).to_bytes(4, "little") + data[4:8] + bytes(shift) + data[8:]
    graph = read(moved)
    constants = [v.data for v in graph.values.values() if v.data is not None]
    assert all(constant.flags.aligned for constant in constants)
    assert not difference(graph, read(data), names=True)


def test_what_no_operator_uses_is_not_looked_at() -> None:
    model = small()
    odd = {"shape": [-1], "type": FileType.RESOURCE, "buffer": 99, "is_variable": True}
    model["subgraphs"][0]["tensors"].append(odd)
    assert set(read(encode(model)).values) == {"x", "w", "b", "y", "z"}
