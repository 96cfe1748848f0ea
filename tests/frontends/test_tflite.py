"""`.tflite` files to graphs: real ones, ones made to be refused, damaged ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends._tflite_tensors import FileTensors
from smidgen.frontends.tflite import read
from smidgen.ir import QuantParams, TensorType
from smidgen.schema import (
    ActivationFunctionType,
    BuiltinOperator,
    Padding,
    Record,
    decode,
    encode,
)
from smidgen.schema import TensorType as FileType
from tests.fuzzing import survive
from tests.graphs import difference

READABLE = {  # file: (input, output, operators)
    "models/mlperf_tiny/ad01_fp32.tflite": ("float32[1,640]", "float32[1,640]", 10),
    "models/mlperf_tiny/ad01_int8.tflite": ("int8[1,640]", "int8[1,640]", 10),
    "models/mlperf_tiny/kws_ref_model_int8.tflite": ("int8[1,49,10,1]", "int8[1,12]", 13),
    "models/mlperf_tiny/pretrainedResnet.tflite": ("float32[1,32,32,3]", "float32[1,10]", 16),
    "models/mlperf_tiny/pretrainedResnet_quant.tflite": ("int8[1,32,32,3]", "int8[1,10]", 16),
    "models/mlperf_tiny/vww_96_float.tflite": ("float32[1,96,96,3]", "float32[1,2]", 31),
    "models/mlperf_tiny/vww_96_int8.tflite": ("int8[1,96,96,3]", "int8[1,2]", 31),
    "zoo/silabs_kws_on_off_v3.tflite": ("int8[1,98,1,104]", "int8[1,3]", 107),
    "zoo/tflm_hello_world_float.tflite": ("float32[1,1]", "float32[1,1]", 3),
    "zoo/tflm_hello_world_int8.tflite": ("int8[1,1]", "int8[1,1]", 3),
    "zoo/tflm_person_detect_int8.tflite": ("int8[1,96,96,1]", "int8[1,2]", 31),
    "zoo/tinymaix_mnist_arduino_int8.tflite": ("int8[1,28,28,1]", "int8[1,10]", 6),
    "zoo/tinymaix_mnist_dw_float.tflite": ("float32[1,28,28,1]", "float32[1,10]", 7),
    "zoo/tinymaix_mnist_dw_int8.tflite": ("int8[1,28,28,1]", "int8[1,10]", 7),
}
REFUSED = {  # file: what the message says
    "models/mlperf_tiny/kws_ref_model_float32.tflite": r"operator 0 CONV_2D.*dynamic range",
    "zoo/coral_deeplabv3_mnv2_dm05_uint8.tflite": "uint8 quantization",
    "zoo/coral_keras_lstm_mnist_ptq.tflite": "UNIDIRECTIONAL_SEQUENCE_LSTM|uint8 quantization",
    "zoo/mp_face_full_range_sparse.tflite": "DENSIFY",
    "zoo/mww_okay_nabu_v2.tflite": "2 subgraphs",
    "zoo/support_movie_review_nl.tflite": "GATHER",
    "zoo/tflm_audio_preprocessor_int8.tflite": "CUSTOM 'SignalWindow'",
    "zoo/tflm_dtln_noise_suppression.tflite": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "zoo/tflm_keyword_scrambled_8bit.tflite": "SVDF",
}


@pytest.mark.parametrize("name", READABLE)
def test_a_real_model_is_read_whole(name: str, shared: Path) -> None:
    graph = read(shared / name)
    types = (*graph.input_types, *graph.output_types)
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


# A small valid model, and one change at a time that makes it a file to be refused.

Q = {"scale": [0.5], "zero_point": [3]}


def small() -> Record:
    """int8 (1, 4, 4, 2) → CONV_2D 1x1 → RELU."""
    weights = np.arange(6, dtype=np.int8)
    bias = np.arange(3, dtype="<i4")
    conv = {
        "padding": Padding.VALID,
        "stride_w": 1,
        "stride_h": 1,
        "fused_activation_function": ActivationFunctionType.RELU6,
    }
    channels = {"scale": [0.1, 0.2, 0.3], "zero_point": [0, 0, 0], "quantized_dimension": 0}
    return {
        "version": 3,
        "operator_codes": [
            {"builtin_code": BuiltinOperator.CONV_2D, "version": 3},
            {"builtin_code": BuiltinOperator.RELU, "version": 2},
        ],
        "subgraphs": [
            {
                "tensors": [
                    {"shape": [1, 4, 4, 2], "type": FileType.INT8, "name": "x", "quantization": Q},
                    {
                        "shape": [3, 1, 1, 2],
                        "type": FileType.INT8,
                        "buffer": 1,
                        "name": "w",
                        "quantization": dict(channels),
                    },
                    {
                        "shape": [3],
                        "type": FileType.INT32,
                        "buffer": 2,
                        "name": "b",
                        "quantization": {**channels, "scale": [0.05, 0.1, 0.15]},
                    },
                    {"shape": [1, 4, 4, 3], "type": FileType.INT8, "name": "y", "quantization": Q},
                    {"shape": [1, 4, 4, 3], "type": FileType.INT8, "name": "z", "quantization": Q},
                ],
                "inputs": [0],
                "outputs": [4],
                "operators": [
                    {
                        "opcode_index": 0,
                        "inputs": [0, 1, 2],
                        "outputs": [3],
                        "builtin_options": ("Conv2DOptions", conv),
                    },
                    {"opcode_index": 1, "inputs": [3], "outputs": [4]},
                ],
            }
        ],
        "buffers": [{}, {"data": weights.view(np.uint8)}, {"data": bias.view(np.uint8)}],
    }


def tensor(model: Record, index: int) -> Record:
    found: Record = model["subgraphs"][0]["tensors"][index]
    return found


def operator(model: Record, index: int) -> Record:
    found: Record = model["subgraphs"][0]["operators"][index]
    return found


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
        assert read(encode(model)).nodes[0].inputs == ("x", "w", None)


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


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_bias_scale_that_is_no_float32_number_is_left_out(scale: float) -> None:
    model = small()
    tensor(model, 0)["quantization"] = {"scale": [scale], "zero_point": [0]}
    tensor(model, 1)["quantization"]["scale"] = [scale] * 3
    tensor(model, 2)["quantization"] = None
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


def change(path: str, value: object) -> Callable[[Record], None]:
    """Return what sets one field, such as ``tensors.3.shape``, of the small model's subgraph."""

    def apply(model: Record) -> None:
        *parents, last = path.split(".")
        place = model if parents[:1] == ["buffers"] else model["subgraphs"][0]
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value

    return apply


def both(*changes: Callable[[Record], None]) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        for change in changes:
            change(model)

    return apply


def quantized(index: int, **fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        record = tensor(model, index)
        record["quantization"] = {**record["quantization"], **fields}

    return apply


def opcode(**fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        model["operator_codes"][0] = fields

    return apply


def twice(model: Record) -> None:
    model["subgraphs"].append(model["subgraphs"][0])


def option(**fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        operator(model, 0)["builtin_options"][1].update(fields)

    return apply


SPARSE = {"traversal_order": [0], "dim_metadata": [{}]}
TO_REFUSE: dict[str, tuple[Callable[[Record], None], type[SmidgenError], str]] = {
    "no subgraph": (lambda m: m["subgraphs"].clear(), UnsupportedModelError, "0 subgraphs"),
    "two subgraphs": (twice, UnsupportedModelError, "2 subgraphs"),
    "no outputs": (change("outputs", []), ModelFileError, "no outputs"),
    "a builtin we lack": (
        opcode(builtin_code=BuiltinOperator.SVDF),
        UnsupportedModelError,
        r"operator 0: .*not supported: SVDF; supported are ADD, .*CONV_2D",
    ),
    "a builtin nobody knows": (
        opcode(builtin_code=999),
        UnsupportedModelError,
        "not supported: number 999",
    ),
    "a custom operator": (
        opcode(builtin_code=BuiltinOperator.CUSTOM, custom_code="Mine\n"),
        UnsupportedModelError,
        r"CUSTOM 'Mine\\\\n'",
    ),
    "an operator code out of range": (
        change("operators.1.opcode_index", 2),
        ModelFileError,
        "operator 1: is of kind 2 of 2",
    ),
    "an operand out of range": (
        change("operators.1.inputs", [5]),
        ModelFileError,
        r"operator 1 RELU \(tensor 4 'z'\): refers to tensor 5 of 5",
    ),
    "a result out of range": (
        change("operators.1.outputs", [-1]),
        ModelFileError,
        "operator 1 RELU: refers to tensor -1 of 5",
    ),
    "an input out of range": (change("inputs", [77]), ModelFileError, "refers to tensor 77 of 5"),
    "an output out of range": (change("outputs", [-7]), ModelFileError, "refers to tensor -7"),
    "a constant as input": (change("inputs", [0, 1]), ModelFileError, "tensor 1 'w'.*constant"),
    "an input twice": (change("inputs", [0, 0]), ModelFileError, "another input"),
    "use before definition": (
        change("operators.0.inputs", [4, 1, 2]),
        ModelFileError,
        r"operator 0 CONV_2D \(tensor 3 'y'\): tensor 4 'z': is read before it is computed",
    ),
    "an operator that reads its own result": (
        change("operators.1.inputs", [4]),
        ModelFileError,
        "'z': is read before it is computed",
    ),
    "an output that nobody computes": (
        change("operators", []),
        ModelFileError,
        "'z': is read before it is computed",
    ),
    "a tensor computed twice": (
        change("operators.1.outputs", [3]),
        ModelFileError,
        "operator 1 RELU .*computed before",
    ),
    "a constant that is computed": (
        both(
            change("tensors.4.buffer", 2),
            change("buffers.2", {"data": [0] * 48}),
            change("operators.0.inputs", [0, 1]),
        ),
        ModelFileError,
        "tensor 4 'z': is computed, but also a constant",
    ),
    "a buffer out of range": (
        change("tensors.1.buffer", 9),
        ModelFileError,
        "tensor 1 'w': has buffer 9 of 3",
    ),
    "a buffer too short": (
        change("buffers.1", {"data": [1, 2, 3, 4, 5]}),
        ModelFileError,
        r"int8\[3, 1, 1, 2\] takes 6 bytes, its buffer has 5",
    ),
    "a buffer too long": (
        change("tensors.2.type", FileType.INT16),
        ModelFileError,
        "takes 6 bytes, its buffer has 12",
    ),
    "another shape than the operator computes": (
        change("tensors.3.shape", [1, 4, 4, 2]),
        ModelFileError,
        r"operator 0 CONV_2D .*computes int8\[1, 4, 4, 3\], the file says int8\[1, 4, 4, 2\]",
    ),
    "another dtype than the operator computes": (
        both(change("tensors.4.type", FileType.FLOAT32), change("tensors.4.quantization", None)),
        ModelFileError,
        r"the file says float32\[1, 4, 4, 3\]",
    ),
    "operands that do not fit each other": (
        both(change("tensors.1.shape", [2, 1, 1, 3]), quantized(1, scale=[1.0], zero_point=[0])),
        ModelFileError,
        "operator 0 CONV_2D .*its operands are not accepted: 2 input channels",
    ),
    "no operands": (change("operators.0.inputs", None), ModelFileError, "operator 0 CONV_2D"),
    "no results": (change("operators.0.outputs", []), ModelFileError, "operator 0 CONV_2D"),
    "a stride of zero": (option(stride_w=0), ModelFileError, "operator 0 CONV_2D"),
    "a stride below zero": (option(stride_h=-1), ModelFileError, "operator 0 CONV_2D"),
    "a padding that does not exist": (
        option(padding=7),
        ModelFileError,
        "padding 7 is not one of SAME, VALID",
    ),
    "an activation without a kernel": (
        option(fused_activation_function=ActivationFunctionType.TANH),
        UnsupportedModelError,
        "operator 0 CONV_2D .*TANH",
    ),
    "another operator's options": (
        change("operators.0.builtin_options", ("Pool2DOptions", {})),
        ModelFileError,
        "has Pool2DOptions instead of Conv2DOptions",
    ),
    "an unknown dimension": (
        change("tensors.0.shape", [-1, 4, 4, 2]),
        UnsupportedModelError,
        "tensor 0 'x': shape .*fixed input shape",
    ),
    "an empty dimension": (
        change("tensors.0.shape", [1, 0, 4, 2]),
        UnsupportedModelError,
        "not known or empty",
    ),
    "nine dimensions": (change("tensors.0.shape", [1] * 9), ModelFileError, "9 dimensions"),
    "a shape beyond all memory": (
        change("tensors.0.shape", [2**30, 2**30, 2**30, 2**30]),
        ModelFileError,
        "too large",
    ),
    "tensors beyond the limit together": (
        both(
            change("tensors.0.shape", [1, 2**14, 2**14, 2]),
            change("tensors.3.shape", [1, 2**14, 2**14, 3]),
        ),
        ModelFileError,
        "more than 1024 MB in all",
    ),
    "text tensors": (
        change("tensors.0.type", FileType.STRING),
        UnsupportedModelError,
        "STRING is not supported",
    ),
    "a number that is no type": (change("tensors.0.type", 99), UnsupportedModelError, "type 99"),
    "a variable": (change("tensors.0.is_variable", True), UnsupportedModelError, "state"),
    "sparse weights": (change("tensors.1.sparsity", SPARSE), UnsupportedModelError, "sparse"),
    "an external buffer": (
        change("tensors.1.external_buffer", 1),
        UnsupportedModelError,
        "external",
    ),
    "blockwise quantization": (
        quantized(1, details=("BlockwiseQuantization", {"block_size": 32})),
        UnsupportedModelError,
        "BlockwiseQuantization",
    ),
    "uint8 quantization": (
        change("tensors.0.type", FileType.UINT8),
        UnsupportedModelError,
        "uint8",
    ),
    "hybrid": (
        both(change("tensors.0.type", FileType.FLOAT32), change("tensors.0.quantization", None)),
        UnsupportedModelError,
        "dynamic range",
    ),
    "a scale of zero": (quantized(1, scale=[0.1, 0.0, 0.1]), ModelFileError, "not positive"),
    "a scale below zero": (quantized(0, scale=[-0.5]), ModelFileError, "'x': has a scale"),
    "a scale that is no number": (quantized(0, scale=[float("nan")]), ModelFileError, "finite"),
    "an infinite scale": (quantized(3, scale=[float("inf")]), ModelFileError, "finite"),
    "too few scales": (
        quantized(1, scale=[0.1, 0.2], zero_point=[0, 0]),
        ModelFileError,
        r"2 scales on axis 0 of shape \[3, 1, 1, 2\]",
    ),
    "too few zero points": (
        quantized(1, zero_point=[0, 0]),
        ModelFileError,
        "3 scales but 2 zero points",
    ),
    "no zero points": (quantized(0, zero_point=None), ModelFileError, "1 scales but 0 zero"),
    "an axis of another size": (
        quantized(1, quantized_dimension=3),
        ModelFileError,
        "3 scales on axis 3",
    ),
    "a zero point out of range": (
        quantized(0, zero_point=[128]),
        ModelFileError,
        r"zero point outside -128\.\.127",
    ),
    "a zero point beyond 32 bits": (
        quantized(2, zero_point=[0, 0, 2**40]),
        ModelFileError,
        "zero point outside",
    ),
    "an activation with scales by channel": (
        quantized(3, scale=[0.1, 0.2, 0.3], zero_point=[0, 0, 0], quantized_dimension=3),
        SmidgenError,
        "per-channel|per-tensor",
    ),
    "int8 without a scale": (
        change("tensors.0.quantization", None),
        SmidgenError,
        "int8 without a",
    ),
}


@pytest.mark.parametrize("case", TO_REFUSE)
def test_a_file_is_refused_with_the_place_and_the_reason(case: str) -> None:
    apply, error, says = TO_REFUSE[case]
    model = small()
    apply(model)
    with pytest.raises(error, match=says):
        read(encode(model))


def test_what_no_operator_uses_is_not_looked_at() -> None:
    model = small()
    odd = {"shape": [-1], "type": FileType.RESOURCE, "buffer": 99, "is_variable": True}
    model["subgraphs"][0]["tensors"].append(odd)
    assert set(read(encode(model)).values) == {"x", "w", "b", "y", "z"}


def test_a_thousand_mutations_raise_only_typed_errors(shared: Path) -> None:
    names = [
        "zoo/tflm_hello_world_int8.tflite",
        "zoo/tinymaix_mnist_dw_int8.tflite",
        "zoo/tinymaix_mnist_dw_float.tflite",
        "models/mlperf_tiny/kws_ref_model_int8.tflite",
        "models/mlperf_tiny/pretrainedResnet_quant.tflite",
        "models/mlperf_tiny/ad01_int8.tflite",
    ]
    seen = survive("smidgen.frontends.tflite:read", [shared / name for name in names], 1000)
    assert set(seen) <= {"ok", "ModelFileError", "UnsupportedModelError", "GraphError"}
    assert seen["ok"] > 100
    assert seen["ModelFileError"] > 300
