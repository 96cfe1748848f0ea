"""Training: it learns, repeats itself, survives being killed, and shares its work."""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smidgen import Dataset, Graph, evaluate, finetune
from smidgen.errors import DataError, RecipeError, SmidgenError
from smidgen.evaluate import run
from smidgen.ir import GraphEditor
from smidgen.ops import get_op
from smidgen.training.distil import Known, as_they_are
from smidgen.training.loop import Progress, fit
from smidgen.training.module import GraphModule
from smidgen.training.samples import Samples
from smidgen.training.settings import Training
from tests.training.digits import TRAINING, digits, network

pytestmark = pytest.mark.torch
KILLS = 10


def train(training: Training, data: Dataset | None = None) -> GraphModule:
    module = GraphModule(network())
    fit(module, data or digits(), training, threads=1)
    return module


def same(a: GraphModule, b: GraphModule) -> bool:
    return all(torch.equal(x, b.state_dict()[k]) for k, x in a.state_dict().items())


def test_it_learns_and_repeats_itself() -> None:
    data = digits()
    first = train(TRAINING)
    score = evaluate(first.to_graph(), data)
    assert score.value > 0.9, score
    assert same(first, train(TRAINING))
    assert not same(first, train(dataclasses.replace(TRAINING, seed=1)))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"schedule": "one-cycle"},
        {"schedule": "constant", "warmup": 0.0, "clip": 1.0},
        {"label_smoothing": 0.1, "mixup": 0.0, "ema": 0.0},
        {"loss": lambda y, t: torch.nn.functional.cross_entropy(y, t)},
        {"augment": lambda x, rng: x + rng.normal(0, 0.05, x.shape).astype(np.float32)},
        {"augment": "image"},
    ],
)
def test_settings_train(change: dict[str, object]) -> None:
    training = dataclasses.replace(TRAINING, **change)  # type: ignore[arg-type]
    assert evaluate(train(training).to_graph(), digits()).value > 0.8


def test_the_samples_held_apart_are_not_trained_on() -> None:
    data = digits()
    seen: list[np.ndarray] = []

    def watch(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append(x)
        return x

    module = GraphModule(network())
    marked = data.x + np.arange(len(data.x), dtype=np.float32)[:, None, None, None]
    training = Training(epochs=3, validation=0.25, augment=watch, learning_rate=0.0)
    epochs = fit(module, Dataset(marked, data.y), training)
    numbers = {int(x) for batch in seen for x in batch[:, 0, 0, 0]}
    assert len(epochs) == 3
    assert len(numbers) <= 0.75 * len(marked) + 1


def test_targets_and_autoencoders_train() -> None:
    data = digits()
    targets = np.eye(10, dtype=np.float32)[data.y] * 0.5 + 0.05  # no one-hot rows
    module = GraphModule(network())
    epochs = fit(module, Dataset(data.x, targets), Training(epochs=3, learning_rate=3e-3))
    assert epochs[-1].loss < epochs[0].loss


def two_headed() -> Graph:
    """The digits' network, with a second output of one number."""
    edit = GraphEditor(network())
    (dense,) = [n for n in edit.nodes if n.op.name == "FULLY_CONNECTED"]
    rng = np.random.default_rng(1)
    weights = edit.constant(rng.normal(0, 0.05, (1, 256)).astype(np.float32))
    edit.outputs.append(edit.insert(get_op("FULLY_CONNECTED")(), [dense.inputs[0], weights, None]))
    return edit.finish()


def test_each_output_learns_from_labels_of_its_own() -> None:
    """A class, and how much ink there is, which the first output's labels do not say."""
    data = digits()
    ink = data.x.mean((1, 2, 3))[:, None]
    assert data.x_test is not None
    wanted = data.x_test.mean((1, 2, 3))
    settings: dict[str, Any] = {
        "epochs": 12, "batch_size": 64, "learning_rate": 1e-2, "augment": "none", "threads": 1
    }  # fmt: skip
    alone = finetune(two_headed(), data, **settings)
    more = dataclasses.replace(data, further_y=(ink,))
    both = finetune(two_headed(), more, loss=["auto", "mse"], loss_weights=[1.0, 0.3], **settings)
    errors = []
    for graph in (alone, both):
        assert evaluate(graph, data).value > 0.9
        errors.append(float(np.abs(run(graph, data.x_test)[1][:, 0] - wanted).mean()))
    assert errors[1] < 0.15 * errors[0], errors


def test_mixed_samples_have_the_targets_of_all_outputs_mixed() -> None:
    data = digits()
    ink = data.x.mean((1, 2, 3))[:, None]
    module = GraphModule(two_headed())
    data = dataclasses.replace(data, further_y=(ink,))
    samples = Samples(module, data, Training(mixup=1.0, augment="none"), None, None)
    batch = samples.batch(0, torch.device("cpu"))
    classes, numbers = batch.targets
    np.testing.assert_allclose(batch.inputs[0].mean((1, 2, 3)), numbers[:, 0], atol=1e-6)
    assert classes.shape == (128, 10)
    np.testing.assert_allclose(classes.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("further", "settings", "why"),
    [
        ((np.zeros(1437), np.zeros(1437)), {}, "labels of 3 outputs for a model of 2"),
        ((np.zeros((1437, 3)),), {}, "targets of shape (1437, 3) for outputs of shape (1, 1)"),
        ((np.zeros(1437),), {"loss": ("mse",)}, "loss has 1 for 2 outputs"),
        ((np.zeros(1437),), {"loss_weights": (1.0, 2.0, 3.0)}, "loss_weights has 3 for 2 outputs"),
        ((np.zeros(1437),), {"loss_weights": (1.0, -1.0)}, "loss_weights are (1.0, -1.0)"),
        ((np.zeros(9),), {}, "9 labels for 1437 samples"),
    ],
)
def test_labels_of_further_outputs_that_do_not_fit_are_refused(
    further: tuple[np.ndarray, ...], settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SmidgenError, match=re.escape(why)):
        finetune(two_headed(), dataclasses.replace(digits(), further_y=further), **settings)


@pytest.mark.parametrize(
    ("change", "labels", "why"),
    [
        ({"epochs": float("nan")}, None, "epochs is nan"),
        ({"optimizer": "lion"}, None, "use one of adamw, sgd"),
        ({"augment": "rotate"}, None, "no augmentation is called 'rotate'"),
        ({"loss": "hinge"}, None, "no loss is called 'hinge'"),
        ({"loss": "mse"}, None, "does not fit classes"),
        ({}, np.full(1437, 10), "classes from 10 to 10 for 10 outputs"),
        ({}, np.zeros((1437, 3), np.float32), "targets of shape"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, object], labels: np.ndarray | None, why: str
) -> None:
    data = digits()
    with pytest.raises((RecipeError, DataError), match=why):
        train(Training(**change), Dataset(data.x, data.y if labels is None else labels))  # type: ignore[arg-type]


def run_digits(folder: Path, kept: Path, *more: str) -> list[str]:
    return ["-m", "tests.training.digits", str(folder), str(kept), *more]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Killed ten times, each after another few of its 132 steps."""
    undisturbed, killed = tmp_path / "undisturbed.npz", tmp_path / "killed.npz"
    subprocess.run([sys.executable, *run_digits(tmp_path / "a", undisturbed)], check=True)
    command = [sys.executable, *run_digits(tmp_path / "b", killed)]
    rng = random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command)
        saved(tmp_path / "b" / "run.ckpt", rng.randint(2, 9))
        time.sleep(rng.uniform(0, 0.02))  # somewhere in a step, or while it is saved
        process.kill()
        process.wait()
    assert not killed.exists()
    subprocess.run(command, check=True)
    with np.load(undisturbed) as a, np.load(killed) as b:
        assert sorted(a) == sorted(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def saved(path: Path, times: int) -> None:
    """Wait until a checkpoint has been replaced so many times."""

    def state() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    last, end = state(), time.monotonic() + 60
    while times and time.monotonic() < end:
        if state() != last:
            last, times = state(), times - 1
        time.sleep(0.001)
    assert not times, "it trains too slowly"


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    training = Training(epochs=1, batch_size=256)
    fit(GraphModule(network()), digits(), training, checkpoint=path)
    with pytest.raises(DataError, match="another run"):
        fit(GraphModule(network()), digits(), Training(epochs=2), checkpoint=path)
    for other, options in (
        (network(seed=2), {}),
        (network(), {"identity": "sparser"}),
        (network(), {"teacher": Known(np.zeros((1437, 1, 10), np.float32), (as_they_are,))}),
    ):
        with pytest.raises(DataError, match="another run"):
            fit(GraphModule(other), digits(), training, checkpoint=path, **options)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="is no checkpoint"):
        fit(GraphModule(network()), digits(), training, checkpoint=path)


def test_whoever_is_told_can_end_a_run_that_then_goes_on(tmp_path: Path) -> None:
    path, undisturbed = tmp_path / "run.ckpt", train(TRAINING)

    def enough(progress: Progress) -> None:
        if progress.step == 50:
            raise KeyboardInterrupt

    module = GraphModule(network())
    with pytest.raises(KeyboardInterrupt):
        fit(module, digits(), TRAINING, checkpoint=path, threads=1, progress=enough)
    steps: list[int] = []
    module = GraphModule(network())
    fit(
        module, digits(), TRAINING, checkpoint=path, threads=1,
        progress=lambda p: steps.append(p.step),
    )  # fmt: skip
    assert steps[0] == 51
    assert same(module, undisturbed)


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """But for batch norms, whose statistics are those of each process's share of the batch."""
    kept = tmp_path / "two.npz"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *torchrun, *run_digits(tmp_path, kept, "gloo")],
        check=True,
        timeout=200,
    )
    module = GraphModule(network())
    fit(module, digits(), Training(epochs=1, batch_size=64, augment="none"), threads=1)
    start = GraphModule(network())
    with np.load(kept) as two:
        for name, value in module.state_dict().items():
            if value.dim() > 1:
                moved = float((value - start.state_dict()[name]).norm())
                apart = float(np.linalg.norm(value.numpy() - two[name]))
                assert apart < 0.5 * moved, name
