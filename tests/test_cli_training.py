"""The commands that train: what they write, how they are interrupted, what they refuse."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smidgen import describe, evaluate, load, write_tflite
from smidgen.cli._training import SETTINGS
from smidgen.training.settings import Training
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.transforms.rewrites import simplify
from tests.test_cli import smidgen
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch
QUICK = ("--batch-size", 64, "--learning-rate", 0.01, "--threads", 1, "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows nothing, and the digits."""
    path = tmp_path_factory.mktemp("models")
    write_tflite(simplify(network()), path / "new.tflite")
    data = digits()
    np.savez(path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    np.savez(path / "unlabelled.npz", x=data.x)
    return path


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    out = folder / "trained.tflite"
    arguments = ("finetune", folder / "new.tflite", "-d", folder / "data.npz", "-o", out)
    done = smidgen(*arguments, "--epochs", 4, *QUICK)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["file_bytes"] == out.stat().st_size
    assert [epoch["number"] for epoch in facts["epochs"]] == [1, 2, 3, 4]
    assert facts["epochs"][-1]["held_out"] > 0.8
    assert not list(folder.glob("*.ckpt"))
    return out


def test_settings_are_those_of_training() -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(Training)}
    del defaults["loss_weights"]  # a shell has one loss for all outputs
    assert {name: default for name, (default, _) in SETTINGS.items()} == defaults


def test_what_was_trained_is_what_is_written(trained: Path) -> None:
    assert evaluate(load(trained), digits()).value > 0.8


def test_a_teacher_needs_no_labels(folder: Path, trained: Path, tmp_path: Path) -> None:
    arguments = ("distil", folder / "new.tflite", "-d", folder / "unlabelled.npz")
    more = ("--teacher", trained, "-o", tmp_path / "s.tflite", "--cache", tmp_path / "known")
    more += ("--width", 0.5)
    done = smidgen(*arguments, *more, "--epochs", 4, *QUICK)
    assert done.returncode == 0, done.stderr
    small = load(tmp_path / "s.tflite")
    assert evaluate(small, digits()).value > 0.5
    assert describe(small).macs < 0.4 * describe(load(trained)).macs
    assert list((tmp_path / "known").iterdir())


def test_channels_and_connections_go(folder: Path, trained: Path, tmp_path: Path) -> None:
    arguments = ("prune", trained, "-d", folder / "data.npz", "-o", tmp_path / "p.tflite")
    more = ("--channels", 0.6, "--weights", 0.5, "--teacher", trained, "--epochs", 2)
    done = smidgen(*arguments, *more, *QUICK)
    assert done.returncode == 0, done.stderr
    facts, small = json.loads(done.stdout), load(tmp_path / "p.tflite")
    assert describe(small).macs == facts["macs"][1] <= 0.6 * facts["macs"][0]
    assert sparsity_of(small) == pytest.approx(0.5, abs=0.01)
    assert evaluate(small, digits()).value > 0.7
    assert [epoch["number"] for epoch in facts["epochs"]] == [1, 2, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["p.tflite"]


def test_a_dry_run_says_what_goes_together_and_writes_nothing(
    trained: Path, tmp_path: Path
) -> None:
    done = smidgen("prune", trained, "--dry-run", "--channels", 0.5, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    groups = json.loads(done.stdout)["groups"]
    free = [g for g in groups if g["pinned"] is None]
    assert [g["size"] for g in free] == [8, 16]
    assert all(0 < g["macs"] < 1 and 0 < g["parameters"] < 1 for g in free)
    assert any(g["left"] < g["size"] for g in free)
    assert all(g["left"] == g["size"] and g["macs"] is None for g in groups if g["pinned"])
    shown = smidgen("prune", trained, "--dry-run", cwd=tmp_path).stdout
    assert "input" in shown and "channels of 2 of 4 groups can go" in shown
    assert not list(tmp_path.iterdir())


def test_quantize_trains_in_integers_if_asked_to(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    arguments = ("quantize", trained, "-d", folder / "data.npz", "-o", tmp_path / "q.tflite")
    done = smidgen(*arguments, "--train", "--epochs", 1, "--teacher", trained, *QUICK)
    assert done.returncode == 0, done.stderr
    facts, graph = json.loads(done.stdout), load(tmp_path / "q.tflite")
    assert graph.is_quantized and evaluate(graph, digits()).value > 0.8
    assert [epoch["number"] for epoch in facts["epochs"]] == [1] and facts["layers"] == []
    assert [p.name for p in tmp_path.iterdir()] == ["q.tflite"]


def test_sensitivity_is_a_table(folder: Path, trained: Path) -> None:
    arguments = ("sensitivity", trained, "-d", folder / "data.npz")
    facts = json.loads(smidgen(*arguments, "--json").stdout)
    assert [row["size"] for row in facts["rows"]] == [8, 16, 72, 1152, 2560]
    assert facts["metric"] == "accuracy" and facts["whole"] > 0.8
    assert "144 training samples" in smidgen(*arguments).stdout


def test_an_interrupted_run_goes_on_with_the_same_command(folder: Path, tmp_path: Path) -> None:
    def command(out: str) -> list[str]:
        arguments = ("finetune", folder / "new.tflite", "-d", folder / "data.npz", "-o", out)
        quick = (a for a in QUICK if a != "--json")
        return [sys.executable, "-m", "smidgen.cli", *map(str, (*arguments, "--epochs", 4, *quick))]

    with subprocess.Popen(command("a.tflite"), cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"epoch 1" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read().decode()
    assert process.returncode == 130
    assert "the same command goes on where this one ended: a.tflite.ckpt" in told.replace("\n", " ")
    assert "Traceback" not in told
    assert [p.name for p in tmp_path.iterdir()] == ["a.tflite.ckpt"]
    refused = smidgen(*command("a.tflite")[3:], "--seed", 1, cwd=tmp_path)
    assert refused.returncode == 2 and "another run" in refused.stderr
    for out in ("a.tflite", "b.tflite"):
        done = subprocess.run(command(out), cwd=tmp_path, check=True, capture_output=True)
        assert b"epoch 1" in done.stderr and b"epoch 4" in done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"a.tflite", "b.tflite"}
    a, b = (load(tmp_path / name) for name in ("a.tflite", "b.tflite"))
    for name, value in a.values.items():
        np.testing.assert_array_equal(value.data, b.values[name].data)


@pytest.mark.emulator
@pytest.mark.oracle
def test_squeeze_prunes_and_goes_on_where_it_was(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    arguments = ("squeeze", trained, "-d", folder / "data.npz", "--channels", 0.6, "--epochs", 2)
    command = [sys.executable, "-m", "smidgen.cli", *map(str, arguments), "--batch-size", "64"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"epoch 1" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 130
    assert [p.name for p in tmp_path.iterdir()] == ["out-channels.ckpt"]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["stages"]
    assert [stage["name"] for stage in stages] == ["as it came", "channels removed"]
    assert stages[1]["macs"] <= 0.6 * stages[0]["macs"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["squeeze", "new.tflite", "-d", "data.npz", "--epochs", "3"], "--epochs without a step"),
        (["quantize", "new.tflite", "-d", "data.npz", "--seed", "3"], "--seed without a step"),
        (["finetune", "new.tflite"], "no samples to train on"),
        (["finetune", "new.tflite", "-d", "data.npz", "--epochs", "-1"], "epochs is -1"),
        (["distil", "new.tflite", "-d", "data.npz"], "--teacher"),
        (["distil", "new.tflite", "-d", "data.npz", "--teacher", "none.h5"], "none.h5"),
        (["distil", "new.tflite", "-d", "data.npz", "--teacher", "bad.npy"], "bad.npy"),
        (
            ["distil", "new.tflite", "-d", "data.npz", "--teacher", "new.tflite", "--width", "2"],
            "2",
        ),
        (["sensitivity", "new.tflite"], "no samples to measure on"),
        (["prune", "new.tflite"], "nothing is to be pruned"),
        (["prune", "new.tflite", "--channels", "0.5", "--target", "joules"], "flash"),
    ],
)
def test_bad_input_gets_one_clear_error(folder: Path, arguments: list[str], says: str) -> None:
    (folder / "bad.npy").write_bytes(b"no array")
    before = {p.name for p in folder.iterdir()}
    done = smidgen(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert {p.name for p in folder.iterdir()} == before


def test_without_torch_the_help_says_the_settings() -> None:
    code = "import sys; sys.modules['torch'] = None; from smidgen.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "prune", "--help"],
        env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--learning-rate" in done.stdout and "0.001" in done.stdout
