"""Teachers of every kind, and what students make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smidgen import Dataset, evaluate, quantize, write_tflite
from smidgen.errors import DataError, RecipeError, UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.training.augment import image
from smidgen.training.distil import Features, Known, Live, get_teacher, mirrored, pairs
from smidgen.training.finetune import finetune
from smidgen.training.losses import distillation, raw_output
from smidgen.training.module import GraphModule
from smidgen.training.objective import Batch
from smidgen.training.samples import Samples
from smidgen.training.settings import Training
from smidgen.transforms.rewrites import simplify
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch
TRAINING = Training(epochs=6, batch_size=64, learning_rate=5e-3)


@pytest.fixture(scope="module")
def teacher() -> Any:
    return finetune(
        network(seed=1), digits(), epochs=8, batch_size=64, learning_rate=5e-3, threads=1
    )


def test_a_student_learns_without_labels(teacher: Any) -> None:
    data = digits()
    silent = Dataset(data.x, None, data.x_test, data.y_test)
    small = finetune(
        network(), silent, teacher=teacher, epochs=10, batch_size=64, learning_rate=5e-3, threads=1
    )
    assert evaluate(small, data).value > 0.9


@pytest.mark.parametrize("kind", ["graph", "file", "function", "answers", "integer"])
def test_teachers_of_every_kind_say_the_same(teacher: Any, kind: str, tmp_path: Path) -> None:
    data = digits()
    raw, link = raw_output(teacher)
    assert link == "softmax"
    logits = GraphModule(teacher).eval().values([torch.from_numpy(data.x)], [raw])[raw]
    want = logits.detach().numpy()
    source: Any = teacher
    if kind == "file":
        source = tmp_path / "teacher.tflite"
        source.write_bytes(write_tflite(simplify(teacher)))
    elif kind == "function":
        source = lambda x: want[: len(x)] if len(x) == 256 else want[-len(x) :]  # noqa: E731
    elif kind == "answers":
        source = want
    elif kind == "integer":
        source = quantize(teacher, data)
    found = get_teacher(source, network(), data, TRAINING)
    assert isinstance(found, Known)
    got = found.logits[:, 0]
    if kind == "function":
        np.testing.assert_array_equal(got[:256], want[:256])
    elif kind == "integer":  # probabilities of 8 bits: logarithms that are off by a constant
        assert np.mean(got.argmax(-1) == want.argmax(-1)) > 0.99
    else:
        np.testing.assert_allclose(got, want, atol=1e-4)


def test_answers_are_kept_on_disk(teacher: Any, tmp_path: Path) -> None:
    data = digits()
    seen: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        seen.append((done, total))

    first = get_teacher(teacher, network(), data, TRAINING, cache=tmp_path, progress=tell)
    assert seen[-1] == (len(data.x), len(data.x))
    seen.clear()
    again = get_teacher(teacher, network(), data, TRAINING, cache=tmp_path, progress=tell)
    assert not seen
    assert isinstance(first, Known) and isinstance(again, Known)
    np.testing.assert_array_equal(first.logits, again.logits)
    other = Dataset(data.x * 0.5, data.y)
    get_teacher(teacher, network(), other, TRAINING, cache=tmp_path, progress=tell)
    assert seen, "answers to other samples"


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "other bytes", "objects", "other samples", "huge"]
)
def test_damaged_answers_are_worked_out_anew(teacher: Any, tmp_path: Path, damage: str) -> None:
    data = digits()
    first = get_teacher(teacher, network(), data, TRAINING, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "objects":
        np.save(path, np.array([{}] * len(data.x), dtype=object), allow_pickle=True)
    elif damage == "other samples":
        np.save(path, np.zeros((3, 10), np.float32))
    elif damage == "huge":
        with path.open("wb") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 1, 10)}
            np.lib.format.write_array_header_1_0(stream, header)
    else:
        path.write_bytes({"cut": whole[:-7], "empty": b"", "other bytes": b"PK\3\4" * 99}[damage])
    again = get_teacher(teacher, network(), data, TRAINING, cache=tmp_path)
    assert isinstance(first, Known) and isinstance(again, Known)
    np.testing.assert_array_equal(first.logits, again.logits)
    assert path.read_bytes() == whole


def test_a_mirror_is_looked_up() -> None:
    answers = np.arange(8, dtype=np.float32).reshape(4, 2, 1)
    known = Known(answers, (lambda x: x, mirrored))
    batch = Batch(np.array([3, 0]), np.array([1, 0]), (torch.zeros(2, 4, 4, 3),))
    assert known.answers(batch).tolist() == [[7.0], [0.0]]
    x = np.arange(3.0).reshape(1, 1, 3, 1)
    assert mirrored(x).ravel().tolist() == [2.0, 1.0, 0.0]


def test_live_teachers_see_what_the_student_sees(teacher: Any) -> None:
    found = get_teacher(teacher, network(), digits(), TRAINING, live=True)
    assert isinstance(found, Live)
    assert not found.views
    x = image(digits().x[:4], np.random.default_rng(0))
    raw, _ = raw_output(teacher)
    seen: dict[str, np.ndarray] = {}
    interpret(teacher, x, observe=seen.__setitem__)
    answers = found.answers(Batch(np.arange(4), np.zeros(4, int), (torch.from_numpy(x),)))
    np.testing.assert_allclose(answers.numpy(), seen[raw], atol=1e-4)


def test_mixed_samples_are_taught_by_a_live_teacher_only(teacher: Any) -> None:
    data, mixing = digits(), replace(TRAINING, mixup=1.0, augment="none")
    for source in (teacher, np.zeros((1437, 10), np.float32)):
        with pytest.raises(RecipeError, match="mixup=1 with a teacher's kept answers"):
            get_teacher(source, network(), data, mixing)
    live = get_teacher(teacher, network(), data, mixing, live=True)
    silent = Dataset(data.x, None)
    batch = Samples(GraphModule(network()), silent, mixing, live, None).batch(
        0, torch.device("cpu")
    )
    assert not np.allclose(batch.inputs[0].numpy(), data.x[batch.rows])
    own = GraphModule(teacher).eval().values(batch.inputs, [raw_output(teacher)[0]])
    (want,) = own.values()
    np.testing.assert_allclose(live.answers(batch).numpy(), want.detach().numpy(), atol=1e-4)


def test_features_are_paired_by_size_and_learned(teacher: Any) -> None:
    found = list(pairs(network(), teacher))
    assert [network().type(a).shape[1:3] for a, _ in found] == [(8, 8), (4, 4)]
    features = Features(network(), teacher)
    assert sum(p.numel() for p in features.parameters()) == 2 * 16 * 16
    small = finetune(
        network(), digits(), teacher=teacher, features=True, epochs=4, batch_size=64,
        learning_rate=5e-3, threads=1,
    )  # fmt: skip
    assert evaluate(small, digits()).value > 0.85
    assert sorted(small.values) == sorted(network().values)


def test_softened_distributions() -> None:
    a, b = torch.randn(5, 10), torch.randn(5, 10)
    t = 4.0
    p, q = (b / t).softmax(-1), (a / t).softmax(-1)
    want = float((p * (p / q).log()).sum(-1).mean()) * t * t
    assert float(distillation(a, b, t)) == pytest.approx(want, rel=1e-4)


def test_teachers_that_do_not_fit_are_refused(teacher: Any) -> None:
    data = digits()
    with pytest.raises(DataError, match="3 answers for 1437 samples"):
        get_teacher(np.zeros((3, 10)), network(), data, TRAINING)
    with pytest.raises(DataError, match="same classes"):
        get_teacher(np.zeros((1437, 7)), network(), data, TRAINING)
    with pytest.raises(UnsupportedModelError, match="float Graph"):
        finetune(network(), data, teacher=np.zeros((1437, 10)), features=True)
    with pytest.raises(RecipeError, match="no setting is called 'epoch'"):
        finetune(network(), data, epoch=1)
