"""No file, however damaged, does more than raise a ModelFileError that says where."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import flatbuffers
import pytest

from smidgen.errors import ModelFileError
from smidgen.schema import decode, encode
from tests.fuzzing import survive

SMALL = [
    "zoo/tflm_hello_world_int8.tflite",
    "zoo/tinymaix_mnist_arduino_int8.tflite",
    "zoo/tflm_audio_preprocessor_int8.tflite",
    "models/mlperf_tiny/kws_ref_model_int8.tflite",
    "models/mlperf_tiny/pretrainedResnet_quant.tflite",
    "models/mlperf_tiny/vww_96_int8.tflite",
]


def test_two_thousand_mutations_raise_nothing_else(shared: Path) -> None:
    seen = survive("smidgen.schema:decode", [shared / name for name in SMALL], 2000)
    assert set(seen) == {"ok", "ModelFileError"}
    assert seen["ModelFileError"] > 500


def test_every_truncation_of_a_small_file_is_refused(shared: Path) -> None:
    data = (shared / SMALL[0]).read_bytes()
    end = len(data.rstrip(b"\0"))
    for size in range(0, end - 64, 7):
        with pytest.raises(ModelFileError):
            decode(data[:size])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a TFL3 file.*0 bytes in all"),
        (b"TFL3", "4 bytes in all"),
        (b"\x89HDF\r\n\x1a\n" * 2, "expected 'TFL3' at byte 4"),
        (b"\0\0\0\0TFL3", "byte 0: offset 0 points outside the file of 8 bytes"),
        (b"\xff\xff\xff\xffTFL3" + bytes(64), "offset 4294967295 points outside"),
        (b"\x10\0\0\0TFL3" + bytes(64), "a vtable of 0 bytes"),
    ],
)
def test_what_is_not_a_model_is_named(data: bytes, says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        decode(data)


def shape_vector(data: bytes) -> int:
    return data.index(struct.pack("<4i", 3, 77, 78, 79))


def test_a_refusal_says_which_field_and_which_byte() -> None:
    tensors = [{"name": "a"}, {"name": "b", "shape": [77, 78, 79]}]
    data = bytearray(encode({"subgraphs": [{}, {"tensors": tensors}]}))
    at = shape_vector(data)
    data[at : at + 4] = b"\xff\xff\xff\x3f"
    with pytest.raises(ModelFileError) as caught:
        decode(bytes(data))
    assert caught.value.where == "subgraphs[1].tensors[1].shape"
    assert re.match(rf"byte {at}: 1073741823 items of 4 bytes do not fit", caught.value.message)
    assert "truncated" in str(caught.value)


def test_a_union_member_that_no_schema_has_is_refused() -> None:
    operator = {"builtin_options": ("RightShiftOptions", {})}
    data = bytearray(encode({"subgraphs": [{"operators": [operator]}]}))
    assert data.count(126) == 1
    data[data.index(126)] = 200
    with pytest.raises(ModelFileError, match="BuiltinOptions has no member 200") as caught:
        decode(bytes(data))
    assert caught.value.where == "subgraphs[0].operators[0].builtin_options"


def vector_of(builder: flatbuffers.Builder, target: int, count: int) -> int:
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(target)
    return int(builder.EndVector())


def table_with(builder: flatbuffers.Builder, slot: int, target: int) -> int:
    builder.StartObject(slot + 1)
    builder.PrependUOffsetTRelativeSlot(slot, target, 0)
    return int(builder.EndObject())


def bomb(tensors: int, subgraphs: int, name: str) -> bytes:
    """A small file that says it holds subgraphs x tensors tensors, each with a long name."""
    builder = flatbuffers.Builder(1024)
    tensor = table_with(builder, 3, builder.CreateString(name))
    subgraph = table_with(builder, 0, vector_of(builder, tensor, tensors))
    builder.Finish(table_with(builder, 2, vector_of(builder, subgraph, subgraphs)), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("tensors", "subgraphs", "name"),
    [(5_000, 5_000, "x"), (2_000, 10, "x" * 100_000), (2, 200_000, "x"), (300_000, 300_000, "")],
)
def test_a_file_that_unpacks_without_end_is_refused_in_seconds_and_within_memory(
    tensors: int, subgraphs: int, name: str, tmp_path: Path
) -> None:
    data = bomb(tensors, subgraphs, name)
    assert len(data) < 3_000_000
    path = tmp_path / "bomb.tflite"
    path.write_bytes(data)
    assert survive("smidgen.schema:decode", [path], 0) == {"ModelFileError": 1}
    with pytest.raises(ModelFileError, match="unpack without end"):
        decode(bomb(5_000, 5_000, name))


def test_sharing_that_stays_within_reason_is_read() -> None:
    model = decode(bomb(20, 10, "tensor"))
    assert [len(graph["tensors"]) for graph in model["subgraphs"]] == [20] * 10


def test_a_vtable_that_lies_about_its_size_costs_nothing() -> None:
    """Only the slots the schema knows are read, however many a vtable claims."""
    data = bytearray(encode({"description": "d" * 70_000}))
    root = struct.unpack_from("<I", data, 0)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    struct.pack_into("<H", data, vtable, 65534)
    with pytest.raises(ModelFileError):
        decode(bytes(data))
