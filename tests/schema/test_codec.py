"""Reading and writing real files without changing what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.errors import ModelFileError
from smidgen.schema import BuiltinOperator, Padding, TensorType, decode, encode
from smidgen.schema.fields import Record

MLPERF = [
    "ad01_fp32",
    "ad01_int8",
    "kws_ref_model_float32",
    "kws_ref_model_int8",
    "pretrainedResnet",
    "pretrainedResnet_quant",
    "vww_96_float",
    "vww_96_int8",
]
ZOO = [
    "coral_deeplabv3_mnv2_dm05_uint8",
    "coral_keras_lstm_mnist_ptq",
    "coral_tf2_mobilenet_v2_1.0_224_ptq",
    "mp_face_full_range_sparse",
    "mww_okay_nabu_v2",
    "mww_vad_v2",
    "oww_embedding_model",
    "silabs_kws_on_off_v3",
    "support_movie_review_nl",
    "tflm_audio_preprocessor_int8",
    "tflm_dtln_noise_suppression",
    "tflm_hello_world_float",
    "tflm_hello_world_int8",
    "tflm_keyword_scrambled_8bit",
    "tflm_keyword_scrambled_float",
    "tflm_mnist_lstm_float",
    "tflm_person_detect_int8",
    "tinymaix_mbnet96_0.25_float",
    "tinymaix_mbnet96_0.25_int8",
    "tinymaix_mnist_arduino_int8",
    "tinymaix_mnist_dw_float",
    "tinymaix_mnist_dw_int8",
]
FILES = [*(f"models/mlperf_tiny/{name}.tflite" for name in MLPERF)]
FILES += [f"zoo/{name}.tflite" for name in ZOO]


def test_the_list_of_files_is_complete(shared: Path) -> None:
    found = {str(path.relative_to(shared)) for path in shared.rglob("*.tflite")}
    assert found == set(FILES)


def assert_same(a: Any, b: Any, path: str = "model") -> None:
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{path}[{index}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), path
    else:
        assert a == b, path


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_says_the_same_after_a_round_trip_and_is_no_larger(
    name: str, shared: Path
) -> None:
    data = (shared / name).read_bytes()
    model = decode(data)
    again = encode(model)
    assert_same(model, decode(again))
    assert len(again) <= len(data)
    assert encode(decode(again)) == again


@pytest.mark.parametrize("name", FILES)
def test_the_data_of_every_buffer_starts_at_a_multiple_of_16(name: str, shared: Path) -> None:
    again = encode(decode((shared / name).read_bytes()))
    start = np.frombuffer(again, np.uint8).ctypes.data
    found = 0
    for buffer in decode(again)["buffers"]:
        if buffer["data"] is not None and buffer["data"].size:
            assert (buffer["data"].ctypes.data - start) % 16 == 0
            found += 1
    assert found > 3


RUN = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
for path in sys.argv[1:]:
    runtime = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runtime.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in runtime.get_input_details():
        shape, dtype = detail["shape"], detail["dtype"]
        if np.issubdtype(dtype, np.integer):
            info = np.iinfo(dtype)
            value = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        else:
            value = rng.standard_normal(shape).astype(dtype)
        runtime.set_tensor(detail["index"], value)
    runtime.invoke()
    for detail in runtime.get_output_details():
        print(runtime.get_tensor(detail["index"]).tobytes().hex(), end=" ")
    print(flush=True)
"""
CANNOT_RUN = {
    "zoo/support_movie_review_nl.tflite",  # random token ids are out of its range
    "zoo/tflm_audio_preprocessor_int8.tflite",  # custom operators of TFLM
    "zoo/tflm_keyword_scrambled_8bit.tflite",  # LiteRT crashes
    "zoo/tflm_person_detect_int8.tflite",  # LiteRT refuses its quantized_dimension
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", [name for name in FILES if name not in CANNOT_RUN])
def test_litert_computes_the_same_from_the_file_we_wrote(
    name: str, shared: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "again.tflite"
    copy.write_bytes(encode(decode((shared / name).read_bytes())))
    command = [sys.executable, "-c", RUN, str(shared / name), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = done.stdout.splitlines()
    assert before == after
    assert len(before) > 1


def conv() -> Record:
    options = {"padding": Padding.VALID, "stride_w": 2, "dilation_w_factor": 1}
    return {
        "version": 3,
        "operator_codes": [{"builtin_code": BuiltinOperator.CONV_2D, "version": 3}],
        "subgraphs": [
            {
                "tensors": [{"shape": [1, 2], "type": TensorType.INT8, "name": "x", "buffer": 1}],
                "inputs": [0],
                "operators": [{"inputs": [0, -1], "builtin_options": ("Conv2DOptions", options)}],
            }
        ],
        "buffers": [{}, {"data": [1, 2]}],
    }


def test_a_record_made_by_hand_is_read_back_with_every_default() -> None:
    model = decode(encode(conv()))
    (graph,) = model["subgraphs"]
    name, options = graph["operators"][0]["builtin_options"]
    assert name == "Conv2DOptions"
    assert options["padding"] is Padding.VALID
    assert (options["stride_w"], options["stride_h"], options["dilation_h_factor"]) == (2, 0, 1)
    assert graph["operators"][0]["inputs"].tolist() == [0, -1]
    assert graph["operators"][0]["custom_options"] is None
    assert graph["tensors"][0]["type"] is TensorType.INT8
    assert model["operator_codes"][0]["builtin_code"] is BuiltinOperator.CONV_2D
    assert model["buffers"][1]["data"].tolist() == [1, 2]
    assert model["description"] is None


def test_an_empty_vector_is_not_an_absent_one() -> None:
    model = conv()
    model["subgraphs"][0]["tensors"].append({"shape": []})
    first, second = decode(encode(model))["subgraphs"][0]["tensors"]
    assert second["shape"].tolist() == []
    assert first["shape_signature"] is None


def test_equal_vectors_tables_and_strings_are_written_once() -> None:
    model = conv()
    data = np.arange(200, dtype=np.uint8)
    quantization = {"scale": np.full(64, 0.5, np.float32), "zero_point": np.zeros(64, np.int64)}
    model["subgraphs"][0]["tensors"] = [{"name": f"t{i % 2}" * 30, "buffer": i} for i in range(20)]
    model["buffers"] = [{"data": data} for _ in range(20)]
    once = len(encode(model))
    for tensor in model["subgraphs"][0]["tensors"]:
        tensor["quantization"] = quantization
    assert once < 200 + 2 * 60 + 20 * 40
    assert len(encode(model)) < once + 64 * 12 + 20 * 8 + 40


def test_numbers_outside_their_enum_survive() -> None:
    model = conv()
    model["operator_codes"][0]["builtin_code"] = 999
    again = decode(encode(model))
    assert again["operator_codes"][0]["builtin_code"] == 999


def test_a_name_that_is_not_utf8_is_read_as_escapes() -> None:
    model = conv()
    model["subgraphs"][0]["tensors"][0]["name"] = "unusual"
    data = encode(model).replace(b"unusual", b"un\xffs\xfeal")
    assert decode(data)["subgraphs"][0]["tensors"][0]["name"] == r"un\xffs\xfeal"


def test_an_unknown_field_or_union_member_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="Model has no field sub_graphs"):
        encode({"sub_graphs": []})
    operator = {"builtin_options": ("Conv9DOptions", {})}
    with pytest.raises(ValueError, match="BuiltinOptions has no member Conv9DOptions"):
        encode({"subgraphs": [{"operators": [operator]}]})


def behind(offset: int, size: int, tail: bytes) -> bytes:
    """A file whose buffer 1 lies behind the flatbuffer, at an offset from its end."""
    model = conv()
    model["buffers"][1] = {"offset": 0x1122334455667788, "size": size}
    data = encode(model)
    place = bytes.fromhex("8877665544332211")
    assert data.count(place) == 1
    return data.replace(place, (len(data) + offset).to_bytes(8, "little")) + tail


def test_constants_behind_the_flatbuffer_are_found() -> None:
    buffer = decode(behind(4, 3, b"....abc"))["buffers"][1]
    assert bytes(buffer["data"]) == b"abc"
    assert (buffer["offset"], buffer["size"]) == (0, 0)


def test_constants_behind_the_file_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"buffers\[1\].*outside the file"):
        decode(behind(5, 3, b"....abc"))
