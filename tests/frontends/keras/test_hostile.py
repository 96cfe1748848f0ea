"""Damaged and hostile files: one clear error each, no crash, no hang, no code run."""

from __future__ import annotations

import json
import random
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.errors import ModelFileError, SmidgenError
from smidgen.frontends import _sandbox
from smidgen.frontends import keras as front_end
from smidgen.frontends._sandbox import run_reader
from smidgen.frontends.keras import load_keras
from tests.conftest import REPO
from tests.frontends.keras import hostile
from tests.fuzzing import survive

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(`.keras`, `.h5`) of one small model."""
    return hostile.small_keras(tmp_path_factory.mktemp("small"))


def received(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    with run_reader(
        "smidgen.frontends.keras_reader", path, seconds=8, memory=front_end.MEMORY
    ) as output:
        return front_end._received(output)


def test_the_small_files_load(small: tuple[Path, Path]) -> None:
    for path in small:
        assert len(load_keras(path).nodes) > 20


# -- mutations ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutated_h5_files(small: tuple[Path, Path], seed: int) -> None:
    seen = survive("tests.frontends.keras.hostile:read_keras", [small[1]], 100, seed)
    assert seen.total() == 100
    assert seen["ModelFileError"] > 10


@pytest.mark.slow
def test_mutated_keras_files(small: tuple[Path, Path]) -> None:
    seen = survive("tests.frontends.keras.hostile:read_keras", [small[0]], 100)
    assert seen.total() == 100
    assert seen["ModelFileError"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_mutated_weights_inside_keras_files(
    small: tuple[Path, Path], tmp_path: Path, seed: int
) -> None:
    """The zip's checksums would catch what was changed from outside."""
    from tests.fuzzing import mutations

    with zipfile.ZipFile(small[0]) as archive:
        weights = archive.read("model.weights.h5")
    seen: Counter[str] = Counter()
    for damaged in mutations(weights, seed, 100):

        def change(name: str, data: bytes, damaged: bytes = damaged) -> bytes:
            return damaged if name == "model.weights.h5" else data

        path = hostile.rezipped(small[0], change, tmp_path / "damaged.keras")
        seen[_outcome(path)] += 1
    assert seen.total() == 100
    assert seen["ModelFileError"] > 10


def _outcome(path: Path) -> str:
    start = time.monotonic()
    try:
        load_keras(path)
        outcome = "ok"
    except SmidgenError as error:
        outcome = type(error).__name__
        assert len(str(error)) < 2000
    assert time.monotonic() - start < 10
    return outcome


@pytest.mark.parametrize("kind", [0, 1], ids=["keras", "h5"])
def test_changed_configurations(small: tuple[Path, Path], kind: int) -> None:
    header, arrays = received(small[kind])
    seen: Counter[str] = Counter()
    for config in hostile.changed_configs(header["config"], 2000, seed=kind):
        start = time.monotonic()
        try:
            front_end._graph_of({**header, "config": config}, arrays, "changed")
            seen["ok"] += 1
        except SmidgenError as error:
            seen[type(error).__name__] += 1
            assert len(str(error)) < 2000
        assert time.monotonic() - start < 5
    assert seen["ModelFileError"] > 500
    assert seen["UnsupportedModelError"] > 50


@pytest.mark.parametrize("kind", [0, 1], ids=["keras", "h5"])
def test_changed_arrays(small: tuple[Path, Path], kind: int) -> None:
    header, arrays = received(small[kind])
    rng = random.Random(kind)
    seen: Counter[str] = Counter()
    for _ in range(300):
        try:
            front_end._graph_of(header, hostile.changed_arrays(arrays, rng), "changed")
            seen["ok"] += 1
        except ModelFileError as error:
            assert "layer" in str(error)
            seen["refused"] += 1
    assert seen["refused"] > 200


# -- files made to harm ----------------------------------------------------------------------------


def _declares_a_terabyte(h5: Any) -> None:
    del h5["model_weights/conv2d_stem/conv2d_stem/kernel"]
    h5["model_weights/conv2d_stem/conv2d_stem"].create_dataset(
        "kernel", (1 << 40,), "f4", chunks=(1 << 20,)
    )


def _compressed_bomb(h5: Any) -> None:
    group = h5["model_weights/conv2d_stem/conv2d_stem"]
    del group["kernel"]
    group.create_dataset("kernel", (1 << 26,), "f4", chunks=(1 << 20,), compression="gzip")
    group["kernel"][:10] = 1


def _reads_another_file(h5: Any) -> None:
    group = h5["model_weights/conv2d_stem/conv2d_stem"]
    del group["kernel"]
    group.create_dataset("kernel", (3, 3, 2, 4), "f4", external=[("/etc/passwd", 0, 288)])


def _links_to_another_file(h5: Any) -> None:
    import h5py

    del h5["model_weights/conv2d_stem"]
    h5["model_weights/conv2d_stem"] = h5py.ExternalLink("/etc/hostname", "/")


def _links_elsewhere(h5: Any) -> None:
    import h5py

    del h5["model_weights/conv2d_stem"]
    h5["model_weights/conv2d_stem"] = h5py.SoftLink("/model_weights/batch_normalization")


def _virtual(h5: Any) -> None:
    import h5py

    group = h5["model_weights/conv2d_stem/conv2d_stem"]
    del group["kernel"]
    layout = h5py.VirtualLayout((3, 3, 2, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (3, 3, 2, 4))
    group.create_virtual_dataset("kernel", layout)


def _circular(h5: Any) -> None:
    h5["model_weights/conv2d_stem/again"] = h5["model_weights"]


def _bushy(h5: Any) -> None:
    """Thirty levels, each linked twice: a walk that forgets where it has been never ends."""
    group = h5["model_weights"]
    for _ in range(30):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


def _strings_for_weights(h5: Any) -> None:
    group = h5["model_weights/conv2d_stem/conv2d_stem"]
    del group["kernel"]
    group["kernel"] = ["weights"] * 72


def _records_for_weights(h5: Any) -> None:
    group = h5["model_weights/conv2d_stem/conv2d_stem"]
    del group["kernel"]
    group["kernel"] = np.zeros((3, 3, 2, 4), [("a", "f4"), ("b", "i8")])


def _no_configuration(h5: Any) -> None:
    del h5.attrs["model_config"]


def _configuration_of_numbers(h5: Any) -> None:
    h5.attrs["model_config"] = np.arange(100)


def _no_weights(h5: Any) -> None:
    del h5["model_weights"]


def _weights_are_data(h5: Any) -> None:
    del h5["model_weights"]
    h5["model_weights"] = np.zeros(3)


def _names_of_nothing(h5: Any) -> None:
    h5["model_weights/conv2d_stem"].attrs["weight_names"] = [b"../../conv2d", b"/etc/passwd"]


def _deep_json(h5: Any) -> None:
    h5.attrs["model_config"] = '{"a":' * 30_000 + "1" + "}" * 30_000


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_declares_a_terabyte, "more than the file can"),
        (_compressed_bomb, "more than the file can"),
        (_reads_another_file, "lies in another file"),
        (_links_to_another_file, "link to another place"),
        (_links_elsewhere, "link to another place"),
        (_virtual, "lies in another file"),
        (_circular, "reached twice"),
        (_bushy, "reached twice"),
        (_strings_for_weights, "not numbers"),
        (_records_for_weights, "not numbers"),
        (_no_configuration, "weights without the model"),
        (_configuration_of_numbers, "not a text"),
        (_no_weights, "no model_weights"),
        (_weights_are_data, "no model_weights"),
        (_names_of_nothing, "does not hold its kernel"),
        (_deep_json, "not JSON"),
    ],
)
def test_harmful_h5_files(
    small: tuple[Path, Path], tmp_path: Path, harm: Callable[[Any], None], words: str
) -> None:
    import h5py

    path = tmp_path / "harm.h5"
    path.write_bytes(small[1].read_bytes())
    with h5py.File(path, "r+") as h5:
        harm(h5)
    with pytest.raises(SmidgenError, match=words) as caught:
        load_keras(path)
    assert str(caught.value).startswith("harm.h5: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changed", "data", "words"),
    [
        ("config.json", b" " * (100 << 20), "config.json unpacks to"),
        ("model.weights.h5", b"\0" * (200 << 20), "model.weights.h5 unpacks to"),
        ("model.weights.h5", b"not HDF5", "cannot be read"),
        ("model.weights.h5", b"", "no model.weights.h5"),
        ("config.json", b"{}", "not what Keras writes"),
        ("config.json", b"\xff\xfe", "cannot be read"),
        ("metadata.json", b"[1]", "cannot be read"),
    ],
)
def test_harmful_keras_files(
    small: tuple[Path, Path], tmp_path: Path, changed: str, data: bytes, words: str
) -> None:
    path = tmp_path / "harm.keras"
    with zipfile.ZipFile(small[0]) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, data if name == changed else old.read(name))
    with pytest.raises(ModelFileError, match=words):
        load_keras(path)


def test_members_outside_the_folder_are_never_written(
    small: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "inside" / "escape.keras"
    path.parent.mkdir()
    path.write_bytes(small[0].read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside.txt", "out")
        archive.writestr(str(tmp_path / "absolute.txt"), "out")
    load_keras(path)
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]
    assert [p.name for p in path.parent.iterdir()] == ["escape.keras"]


def test_weights_split_over_files(small: tuple[Path, Path], tmp_path: Path) -> None:
    path = hostile.rezipped(small[0], lambda name, data: data, tmp_path / "sharded.keras")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.json", "{}")
    with pytest.raises(SmidgenError, match="split over several files"):
        load_keras(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither a .keras zip nor an HDF5 file"),
        (b"PK\x03\x04", "cannot be read"),
        (b"\x89HDF\r\n\x1a\n", "cannot be read|neither"),
        (b"just text " * 1000, "neither a .keras zip nor an HDF5 file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=words):
        load_keras(path)


def test_no_file_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.keras"):
        with pytest.raises(ModelFileError, match="no such file"):
            load_keras(path)


@pytest.fixture
def _importable_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPO))


@pytest.mark.parametrize("content", [b"spin", b"sleep"])
@pytest.mark.usefixtures("_importable_tests")
def test_a_reader_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """By the processor time that it takes, or after a while if it takes none."""
    monkeypatch.setattr(_sandbox, "PATIENCE", 40 if content == b"spin" else 2)
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    start, seconds = time.monotonic(), 1 if content == b"spin" else 2
    with pytest.raises(ModelFileError, match=f"took over {seconds} second"):
        run_reader("tests.frontends.keras.misbehaving", path, seconds=1, memory=1 << 28)
    assert time.monotonic() - start < _sandbox.PATIENCE + 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"crash", "crashed .signal 11"),
        (b"memory", "more than 256 MB of memory"),
        (b"raise", "failed: ZeroDivisionError"),
    ],
)
@pytest.mark.usefixtures("_importable_tests")
def test_a_reader_that_fails(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=words):
        run_reader("tests.frontends.keras.misbehaving", path, seconds=20, memory=1 << 28)


# -- configurations made to harm -------------------------------------------------------------------


def _graph(layers: list[dict[str, Any]], output: str) -> Any:
    return front_end._graph_of({"config": json.dumps(_model(layers, output)), "format": "h5",
                                "lists": {}, "version": "2.4.0"}, {}, "made")  # fmt: skip


def _model(layers: list[dict[str, Any]], output: str, name: str = "model") -> dict[str, Any]:
    start = {
        "class_name": "InputLayer",
        "name": "in",
        "config": {"name": "in", "batch_input_shape": [None, 4]},
        "inbound_nodes": [],
    }
    config = {"layers": [start, *layers], "name": name, "input_layers": [["in", 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": [[output, 0, 0]]}}


def _layer(name: str, *calls: list[Any], kind: str = "ReLU", **config: Any) -> dict[str, Any]:
    nodes = [[[*ref, {}] for ref in call] for call in calls]
    config = {"name": name, **config}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": nodes}


def test_models_that_call_models_without_end() -> None:
    """Each of 14 levels calls the next one twice, and the innermost does four things."""
    level = _model([_layer(f"r{i}", [["in" if i == 0 else f"r{i - 1}", 0, 0]]) for i in range(4)],
                   "r3")  # fmt: skip
    for _ in range(13):
        block = {**level, "name": "block"}
        block["inbound_nodes"] = [[["in", 0, 0, {}]], [["block", 0, 0, {}]]]
        level = _model([block], "block")
        level["config"]["output_layers"] = [["block", 1, 0]]
    start = time.monotonic()
    with pytest.raises(SmidgenError, match="over 20,000 operators"):
        front_end._graph_of(
            {"config": json.dumps(level), "format": "h5", "lists": {}, "version": "2"}, {}, "made"
        )
    assert time.monotonic() - start < 10


def test_models_nested_too_deep() -> None:
    level = _model([_layer("r", [["in", 0, 0]])], "r")
    for _ in range(40):
        block = {**level, "name": "block", "inbound_nodes": [[["in", 0, 0, {}]]]}
        level = _model([block], "block")
    with pytest.raises(ModelFileError, match="nest over 16 deep"):
        front_end._graph_of(
            {"config": json.dumps(level), "format": "h5", "lists": {}, "version": "2"}, {}, "made"
        )


def test_layers_that_read_each_other() -> None:
    layers = [_layer("a", [["b", 0, 0]]), _layer("b", [["a", 0, 0]])]
    with pytest.raises(ModelFileError, match="in a circle"):
        _graph(layers, "b")


def test_a_long_chain_written_backwards_takes_no_time() -> None:
    layers = [_layer(f"r{i}", [[f"r{i - 1}" if i else "in", 0, 0]]) for i in range(5000)]
    start = time.monotonic()
    assert len(_graph(layers[::-1], "r4999").nodes) == 5000
    assert time.monotonic() - start < 10


def test_shapes_beyond_any_machine() -> None:
    layers = [
        _layer("r", [["in", 0, 0]], kind="Reshape", target_shape=[2, 2, 1]),
        _layer("u", [["r", 0, 0]], kind="UpSampling2D", size=[2**30, 2**30]),
    ]
    with pytest.raises(ModelFileError, match="its output has the shape"):
        _graph(layers, "u")


def test_names_that_are_not_there() -> None:
    with pytest.raises(ModelFileError, match="reads call 0 of layer 'nobody'"):
        _graph([_layer("a", [["nobody", 0, 0]])], "a")
    with pytest.raises(ModelFileError, match="output 0 of call 0 of layer 'nobody'"):
        _graph([_layer("a", [["in", 0, 0]])], "nobody")
    with pytest.raises(ModelFileError, match="output 3 of call 0"):
        _graph([_layer("a", [["in", 0, 3]])], "a")
    with pytest.raises(ModelFileError, match="two layers of one model have the same name"):
        _graph([_layer("a", [["in", 0, 0]]), _layer("a", [["in", 0, 0]])], "a")
