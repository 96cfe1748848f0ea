"""Samples and labels: what is taken, and one clear error for everything that cannot be right."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.backends.tflite import write_tflite
from smidgen.data import (
    MAX_BYTES,
    Dataset,
    accuracy,
    arrange,
    decode,
    encode,
    to_model,
)
from smidgen.errors import DataError
from smidgen.ir import GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op

X = np.zeros((6, 8, 8, 1), np.float32)
Y = np.arange(6)


def model(shape=(1, 8, 8, 1), quant=None, *, channels_first=False):
    b = GraphBuilder("m")
    type = TensorType(shape, "int8" if quant else "float32", quant)
    x = b.input("x", type, channels_first=channels_first)
    return b.build([b.add(get_op("RELU")(), [x], quant=quant)])


# -- datasets --------------------------------------------------------------------------------


def test_the_four_arrays_come_back_from_a_file(tmp_path):
    given_arrays = {"x": X, "y": Y, "x_test": X[:2].astype(np.uint8), "y_test": Y[:2]}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "d.npz", **given_arrays, extra=np.zeros(3))
        data = Dataset.from_npz(tmp_path / "d.npz")
        for name, array in given_arrays.items():
            np.testing.assert_array_equal(getattr(data, name), array)
        assert len(data) == 6


def test_labels_of_further_outputs_come_from_a_file(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y, y1=X[:, 0], y2=Y + 1, y4=Y)
    found = Dataset.from_npz(tmp_path / "d.npz").further_y
    assert len(found) == 2, "those that follow on each other"
    np.testing.assert_array_equal(found[0], X[:, 0])
    np.testing.assert_array_equal(found[1], Y + 1)
    np.savez(tmp_path / "e.npz", x=X, y=Y, y1=Y[:2])
    with pytest.raises(DataError, match=r"e.npz, array y1: 2 labels for 6 samples"):
        Dataset.from_npz(tmp_path / "e.npz")


def test_lists_are_arrays_too():
    data = Dataset([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    assert data.x.shape == (2, 2)
    assert isinstance(data.y, np.ndarray)


@pytest.mark.parametrize(
    ("arguments", "where", "says"),
    [
        ({"x": np.zeros(5, np.float32)}, "x", r"give samples \(n, ...\)"),
        ({"x": X[:0]}, "x", "shape"),
        ({"x": np.zeros((3, 0, 2), np.float32)}, "x", "shape"),
        ({"x": np.full((2, 2), "a")}, "x", "float32 or uint8"),
        ({"x": X.astype(complex)}, "x", "float32 or uint8"),
        ({"x": X.astype(bool)}, "x", "float32 or uint8"),
        ({"x": np.array([[{}], [{}]], object)}, "x", "float32 or uint8"),
        ({"x": np.full_like(X, np.nan)}, "x", "NaN"),
        ({"x": np.full_like(X, np.inf)}, "x", "infinity"),
        ({"x": X, "y": Y[:5]}, "y", "5 labels for 6 samples"),
        ({"x": X, "y": np.array(3)}, "y", "no labels"),
        ({"x": X, "y": np.array(list("abcdef"))}, "y", "class indices"),
        ({"x": X, "y": np.full(6, np.nan)}, "y", "NaN"),
        ({"x": X, "y_test": Y}, "y_test", "give x_test too"),
        ({"x": X, "further_y": (Y,)}, "y1", "none of the first"),
        ({"x": X, "y": Y, "further_y": (Y, np.full(6, np.nan))}, "y2", "NaN"),
        ({"x": X, "x_test": X[:, :4], "y_test": Y}, "x_test", "as in x"),
        ({"x": X, "x_test": np.full_like(X, np.nan)}, "x_test", "NaN"),
        ({"x": X, "x_test": X, "y_test": Y[:1]}, "y_test", "1 labels for 6"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, where, says):
    with pytest.raises(DataError, match=says) as caught:
        Dataset(**arguments)
    assert caught.value.where == where


# -- files that are damaged, or meant to do damage -----------------------------------------------


class Payload:
    """Unpickling this would make a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def npy(header: str) -> bytes:
    body = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def zipped(path, entries, *, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def saved(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def write_hostile(path, kind):
    good = saved(x=X)
    if kind == "missing key":
        path.write_bytes(saved(images=X))
    elif kind == "no arrays":
        zipped(path, {})
    elif kind == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("x,y\n1,2\n", encoding="utf-8")
    elif kind == "an npy file":
        np.save(path.with_suffix(".npy"), X)
        path.with_suffix(".npy").replace(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "pickled objects":
        with zipfile.ZipFile(path, "w") as archive:
            header = npy("{'descr': '|O', 'fortran_order': False, 'shape': (6,)}")
            archive.writestr("x.npy", header + pickle.dumps([Payload(path.parent / "PWNED")] * 6))
    elif kind == "a pickle":
        path.write_bytes(pickle.dumps(Payload(path.parent / "PWNED")))
    elif kind == "not an array":
        zipped(path, {"x.npy": b"hello"})
    elif kind == "a header with code":
        zipped(path, {"x.npy": npy("__import__('os').mkdir('PWNED')")})
    elif kind == "a header of an enormous array":
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 8)}"
        zipped(path, {"x.npy": npy(header)})
    elif kind == "a header of a negative array":
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 8)}"
        zipped(path, {"x.npy": npy(header)})
    elif kind == "a bomb":
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (75000000, 1)}"
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("x.npy", "w") as entry,
        ):
            entry.write(npy(header))
            for _ in range(300):
                entry.write(bytes(1_000_000))
    elif kind == "a bomb that declares it":
        raw = bytearray(good)
        at = raw.index(b"PK\x01\x02")  # the directory: its uncompressed size, as ZIP64 would need
        raw[at + 24 : at + 28] = (0xFFFFFFFE).to_bytes(4, "little")
        path.write_bytes(raw)
    elif kind == "labels as objects":
        stream = io.BytesIO()
        np.save(stream, np.array([{}] * 6, object), allow_pickle=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", zipfile.ZipFile(io.BytesIO(good)).read("x.npy"))
            archive.writestr("y.npy", stream.getvalue())
    elif kind == "wrong checksum":
        raw = bytearray(good)
        raw[len(raw) // 2] ^= 255
        path.write_bytes(raw)
    elif kind == "encrypted":
        raw = bytearray(good)
        raw[raw.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(raw)


HOSTILE = [
    "missing key",
    "no arrays",
    "truncated",
    "empty",
    "text",
    "an npy file",
    "a folder",
    "pickled objects",
    "a pickle",
    "not an array",
    "a header with code",
    "a header of an enormous array",
    "a header of a negative array",
    "a bomb",
    "a bomb that declares it",
    "labels as objects",
    "wrong checksum",
    "encrypted",
]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_bad_file_is_one_clear_error(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.npz"
    write_hostile(path, kind)
    with pytest.raises(DataError) as caught:
        Dataset.from_npz(path)
    assert str(path) in str(caught.value)
    assert "\n" not in caught.value.message
    assert [p.name for p in tmp_path.iterdir()] == ["data.npz"], "something was executed"


def test_a_file_that_declares_too_much_is_not_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "d.npz", x=X)
    monkeypatch.setattr("smidgen.data.MAX_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to"):
        Dataset.from_npz(tmp_path / "d.npz")
    assert MAX_BYTES > 1 << 30


def test_no_file_is_no_traceback(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Dataset.from_npz(tmp_path / "none.npz")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_an_error_or_harmless(data, tmp_path_factory):
    raw = bytearray(saved(x=X[:2], y=Y[:2]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "d.npz"
    path.write_bytes(raw)
    with contextlib.suppress(DataError):
        assert Dataset.from_npz(path).x.ndim >= 2


@pytest.mark.parametrize(
    "kind", ["missing key", "truncated", "pickled objects", "a bomb", "a folder"]
)
def test_the_command_line_writes_nothing_then(kind, tmp_path):
    write_tflite(model(), tmp_path / "m.tflite")
    folder = tmp_path / "work"
    folder.mkdir()
    write_hostile(folder / "data.npz", kind)
    for command in (["quantize"], ["squeeze"]):
        done = subprocess.run(
            [sys.executable, "-m", "smidgen.cli", *command, str(tmp_path / "m.tflite"),
             "--data", "data.npz", "--out", "made"],
            cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
        assert [p.name for p in folder.iterdir()] == ["data.npz"]


# -- samples in, real numbers out ------------------------------------------------------------


def test_samples_are_quantized_as_the_input_is():
    graph = model(quant=QuantParams.per_tensor(0.5, 10))
    x = np.full((2, 8, 8, 1), 3.0, np.float32)
    assert (to_model(graph, x) == 16).all()
    already = np.full((2, 8, 8, 1), -7, np.int8)
    assert (to_model(graph, already) == -7).all()
    assert (to_model(graph, x.astype(np.uint8)) == 16).all()


def test_channels_first_samples_are_transposed():
    graph = model((1, 4, 5, 3), channels_first=True)
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(to_model(graph, x), x.transpose(0, 2, 3, 1))
    with pytest.raises(DataError, match="channels first"):
        to_model(graph, x[:, :, :, :4])


def test_an_axis_of_one_may_be_missing():
    assert arrange(model(), X[..., 0]).shape == (6, 8, 8, 1)
    assert arrange(model((1, 8, 8)), X).shape == (6, 8, 8)
    with pytest.raises(DataError, match=r"give \(n, 8, 8, 1\)"):
        arrange(model(), X.reshape(6, 64))
    with pytest.raises(DataError):
        arrange(model(), X[:0])


@given(q=st.lists(st.integers(-128, 127), min_size=4, max_size=4), zero=st.integers(-128, 127))
def test_what_is_decoded_encodes_to_the_same_integers(q, zero):
    type = TensorType((1, 4), "int8", QuantParams.per_tensor(0.37, zero))
    elements = np.array([q], np.int8)
    np.testing.assert_array_equal(encode(type, decode(type, elements)), elements)


def test_per_channel_elements_are_decoded_by_their_scales():
    type = TensorType((2, 3), "int8", QuantParams.per_channel([1.0, 0.25], 0))
    got = decode(type, np.array([[1, 2, 3], [4, 8, 12]], np.int8))
    np.testing.assert_array_equal(got, [[1, 2, 3], [1, 2, 3]])


# -- accuracy ----------------------------------------------------------------------------------


def test_accuracy_counts_the_largest_score():
    scores = np.eye(4)[[0, 1, 2, 2]]
    assert accuracy(scores, np.array([0, 1, 2, 3])) == 0.75
    assert accuracy(scores, np.eye(4)[[0, 1, 2, 3]]) == 0.75  # one-hot
    assert accuracy(scores.reshape(2, 2, 4), np.array([[0, 1], [2, 3]])) == 0.75
    assert accuracy(scores, np.array([0.0, 1, 2, 3])) == 0.75


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 1, 4], "classes 0 to 3"),
        ([0, -1, 2], "class -1"),
        ([0, 1], "one class index"),
        ([0.5, 1, 2], "whole numbers"),
    ],
)
def test_labels_that_the_model_cannot_mean_are_refused(labels, says):
    with pytest.raises(DataError, match=says):
        accuracy(np.eye(4)[:3], np.array(labels))
