"""Damaged ONNX files: each is read or refused with one typed error, in bounded time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.onnx import load_onnx, read_bytes_of_model
from smidgen.frontends.onnx.reader import MAX_FIELDS, count_fields
from tests.frontends.onnx.models import Quantized, make, node
from tests.fuzzing import survive

pytestmark = pytest.mark.onnx

REAL = ("onnxzoo_mnist.onnx", "alibaba_open_vww.onnx", "andes_rnnoise.onnx", "andes_resnet8.onnx")


def quantized() -> Any:
    m = Quantized(3)
    x = m.input("x", 1, 3, 8, 8)
    y = m.add("Conv", f"{x} {m.weights('w', 4, 3, 3, 3, axis=0)} {m.floats('b', 4)}", "y")
    return m.model(m.pair(y, 0.1, 4))


def shapes_and_branches() -> Any:
    """Nodes that compute shapes, a branch and a function: what a hostile file would aim at."""
    from onnx import helper

    then = helper.make_graph(
        [node("ConstantOfShape", "dims", "filled")], "then", [], [_info("filled")]
    )
    other = helper.make_graph([node("Expand", "x dims", "wide")], "other", [], [_info("wide")])
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    nodes = [
        node("Shape", "x", "dims"),
        node("Size", "x", "count"),
        node("Equal", "count two", "small"),
        helper.make_node("If", ["small"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("Twice", ["chosen"], ["twice"], domain="local"),
        node("Range", "zero two one", "places"),
        node("Gather", "twice places", "some", axis=1),
        node("Tile", "some repeats", "tiled"),
        node("Pad", "tiled pads", "padded"),
        node("Resize", "padded - scales", "y"),
    ]
    constants = {
        "two": np.array(2),
        "zero": np.array(0),
        "one": np.array(1),
        "repeats": np.array([1, 2, 1, 1]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return make(
        nodes, {"x": ["batch", 3, 4, 4]}, ["y"], constants, functions=[function], domains=["local"]
    )


def _info(name: str) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def test_no_mutation_gets_past_the_typed_errors(shared: Path, tmp_path: Path) -> None:
    files = [shared / "zoo" / name for name in REAL]
    for name, model in (("q", quantized()), ("s", shapes_and_branches())):
        (tmp_path / name).write_bytes(model.SerializeToString())
        files.append(tmp_path / name)
    reader = "smidgen.frontends.onnx:read_bytes_of_model"
    assert survive(reader, files, 0) == {"ok": len(files)}
    seen = survive(reader, files, 300)
    assert sum(seen.values()) == 300
    assert seen["ModelFileError"] > 50 and seen["UnsupportedModelError"] > 2


def test_a_file_of_nothing_but_fields_is_refused() -> None:
    graph = b"\x0a\x00" * 600_000  # empty nodes, of which each would take a hundred bytes
    length = len(graph)
    varint = bytearray()
    while length:
        varint.append((length & 0x7F) | (0x80 if length > 0x7F else 0))
        length >>= 7
    data = b"\x3a" + bytes(varint) + graph
    assert count_fields(data) == 600_001
    with pytest.raises(ModelFileError, match="fields"):
        read_bytes_of_model(data + data)
    assert MAX_FIELDS < 2_000_000


@pytest.mark.parametrize("data", [b"", b"\x08", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\xff" * 99])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelFileError):
        read_bytes_of_model(data)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        (["ConstantOfShape dims"], {"dims": np.array([1 << 20, 1 << 20])}),
        (["Expand x dims"], {"dims": np.array([1 << 30, 1, 4])}),
        (["Tile x dims"], {"dims": np.array([1, 1 << 40])}),
        (["Pad x dims"], {"dims": np.array([0, 1 << 40, 0, 0])}),
        (["Range zero end one"], {"zero": 0, "end": np.array(1 << 40), "one": 1}),
        (["OneHot zero end pair"], {"zero": 0, "end": np.array(1 << 40), "pair": [0.0, 1]}),
        (["Reshape x dims"], {"dims": np.array([-1, 0, 1 << 62])}),
    ],
)
def test_what_would_take_all_memory_is_refused(nodes: list[str], constants: dict[str, Any]) -> None:
    operator, _, inputs = nodes[0].partition(" ")
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    model = make([node(operator, inputs, "y")], {"x": [1, 4]}, ["y"], arrays)
    with pytest.raises((ModelFileError, UnsupportedModelError), match=operator):
        read_bytes_of_model(model.SerializeToString())


def test_constants_that_double_again_and_again_are_refused() -> None:
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(40)]
    model = make(
        [*nodes, node("Gather", "c40 x", "y")],
        {"x": [1]},
        ["y"],
        {"c0": np.zeros(1 << 16, np.float32)},
        dtypes={"x": 6},
    )
    with pytest.raises((ModelFileError, UnsupportedModelError)):
        read_bytes_of_model(model.SerializeToString())


# -- tensors outside the file -------------------------------------------------------------------


def external(tmp_path: Path, location: str, *, offset: int = 0, length: int = 16) -> Path:
    from onnx import TensorProto

    model = make([node("Add", "x w", "y")], {"x": [1, 4]}, ["y"], {"w": np.zeros(4, np.float32)})
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    folder = tmp_path / "models"
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    if not (folder / "link.bin").exists():
        (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
        (folder / "there").symlink_to(tmp_path)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_is_read_from_the_models_folder(tmp_path: Path) -> None:
    graph = load_onnx(external(tmp_path, "weights.bin"))
    constants = [v.data for v in graph.values.values() if v.data is not None]
    assert any(np.array_equal(c.ravel(), np.arange(4)) for c in constants)


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "link.bin", "there/secret.bin", "", ".", "/etc/hostname", "none.bin", "a\0b"],
)
def test_external_data_elsewhere_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelFileError, match="'w'"):
        load_onnx(external(tmp_path, location))


@pytest.mark.parametrize(("offset", "length"), [(4, 16), (-4, 16), (0, 8), (1 << 62, 16)])
def test_external_data_that_is_not_all_there_is_refused(
    tmp_path: Path, offset: int, length: int
) -> None:
    with pytest.raises(ModelFileError, match="'w'"):
        load_onnx(external(tmp_path, "weights.bin", offset=offset, length=length))


def test_external_data_of_a_live_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="by its path"):
        read_bytes_of_model(external(tmp_path, "weights.bin").read_bytes())
