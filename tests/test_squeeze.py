"""The whole job: verdicts with bytes, measured limits, results that are whole or not there."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from smidgen import Dataset, load, quantize, squeeze, write_tflite
from smidgen.errors import RecipeError, SmidgenError
from smidgen.evaluate import evaluate, real_outputs
from smidgen.report.result import Limit
from smidgen.training.steps import checkpoints_of
from tests.transforms.quantize.networks import Net, classifier, images, normal

pytestmark = [pytest.mark.emulator, pytest.mark.oracle]

WRITTEN = {"model.tflite", "firmware", "report.html", "smidgen.json"}


@pytest.fixture(scope="module")
def data():
    x, test = images(60), images(40, seed=8)
    graph = classifier()
    labels, truth = (real_outputs(graph, a).argmax(-1) for a in (x, test))
    truth[:4] = (truth[:4] + 1) % 5
    return Dataset(x, labels, test, truth)


@pytest.fixture(scope="module")
def squeezed(data, tmp_path_factory):
    told: list[str] = []
    out = tmp_path_factory.mktemp("squeeze") / "out"
    result = squeeze(classifier(), data, "arduino-nano-33-ble", out=out, tell=told.append)
    return result, told


def test_everything_is_written(squeezed):
    result, told = squeezed
    assert {p.name for p in result.out.iterdir()} == WRITTEN
    assert told[0] == "load" and told[-1] == "write the results"
    record = json.loads((result.out / "smidgen.json").read_text(encoding="utf-8"))
    assert record["firmware"]["flash_bytes"] == result.firmware.flash_bytes
    assert record["fits"] is True
    assert (result.out / "firmware" / "classifier.h").is_file()


def test_what_is_written_is_what_was_measured(squeezed, data):
    result, _ = squeezed
    file = result.out / "model.tflite"
    assert file.stat().st_size == result.tflite_bytes
    shipped = load(file)
    assert evaluate(shipped, data) == result.after
    assert result.before == evaluate(classifier(), data)
    assert result.before.value == 0.9
    assert result.verification.ok
    rows = {row.runtime: row for row in result.verification.rows}
    assert rows["TensorFlow Lite Micro"].exact and rows["emulated cortex-m4"].exact


def test_every_layer_was_run(squeezed):
    result, _ = squeezed
    kernels = [layer.value for layer in result.facts.layers if layer.operator != "RESHAPE"]
    assert [step.value for step in result.run.steps] == kernels
    total = sum(step.instructions for step in result.run.steps)
    assert total == pytest.approx(result.run.instructions, rel=0.05)


def test_the_verdict_says_by_how_many_bytes(squeezed, data):
    result, _ = squeezed
    board = result.firmware.board
    assert result.fits
    spare = board.ram_bytes - result.firmware.ram_bytes
    assert f"RAM {result.firmware.ram_bytes:,} B, {spare:,} B to spare" in result.verdict
    tight = squeeze(
        classifier(), data, board, flash=result.firmware.flash_bytes - 1, latency_ms=1e-3
    )
    assert not tight.fits
    assert "1 B too many" in tight.verdict
    assert "too slow" in tight.verdict
    exact = squeeze(classifier(), data, board, flash=tight.firmware.flash_bytes, max_drop=0.2)
    assert exact.fits


def test_layers_run_by_rows_to_keep_to_the_ram_asked_for(data):
    """For speed they do not otherwise."""
    whole = squeeze(classifier(), data, optimize="speed")
    less = squeeze(classifier(), data, optimize="speed", ram=100)
    assert not whole.firmware.streams
    assert not less.fits
    assert f"{less.firmware.ram_bytes - 100:,} B too many" in less.verdict
    assert less.firmware.ram_bytes < whole.firmware.ram_bytes


def test_accuracy_that_is_lost_is_a_reason(data):
    result = squeeze(classifier(), data, max_drop=-0.5)  # it would have to gain half
    assert not result.fits
    assert "accuracy" in result.verdict and "wanted" in result.verdict


def test_limits():
    assert Limit("flash", 100, 100, "B").holds
    assert not Limit("flash", 100, 101, "B").holds
    assert Limit("accuracy", 0.9, 0.9, "").holds
    assert not Limit("accuracy", 0.9, 0.89, "").holds
    assert str(Limit("latency", 50, 61.5, "ms")) == "latency 61.5 ms, 11.5 ms too slow"


def test_an_int8_model_needs_no_data():
    integer = quantize(classifier(), images())
    result = squeeze(integer)
    assert result.before is result.after is None
    assert result.errors == ()
    assert result.fits


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "needs samples"),
        ({"data": Dataset(images(20)), "max_drop": 0.01}, "without test samples"),
        ({"data": Dataset(images(20)), "recipe": "int3"}, "no recipe"),
        ({"data": Dataset(images(20)), "board": "nucleo"}, "unknown board"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments, says, tmp_path):
    with pytest.raises(SmidgenError, match=says):
        squeeze(classifier(), out=tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


def test_max_drop_is_not_for_errors():
    net = Net("regression")
    graph, x = net.build(net.dense(net.x, 2, "head")), images(30)
    with pytest.raises(RecipeError, match="max_drop"):
        squeeze(graph, Dataset(x, None, x, normal(1, 30, 2)), max_drop=0.1)


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SmidgenError, match="choose an empty or new folder"):
        squeeze(classifier(), Dataset(images(20)), out=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SmidgenError, match="choose an empty or new folder"):
        squeeze(classifier(), Dataset(images(20)), out=tmp_path / "file")


# -- with training -------------------------------------------------------------------------------


@pytest.mark.torch
def test_each_step_that_trains_is_a_stage(data, tmp_path):
    told: list[str] = []
    result = squeeze(
        classifier(), data, out=tmp_path / "out", tell=told.append, channels=0.7, weights=0.5,
        teacher=classifier(), epochs=1, batch_size=16, checkpoint=tmp_path / "run.ckpt",
    )  # fmt: skip
    names = ["as it came", "channels removed", "connections removed"]
    assert [stage.name for stage in result.stages] == names
    assert "train: channels removed" in told
    first, narrow, sparse = result.stages
    assert narrow.macs == sparse.macs <= 0.7 * first.macs
    assert sparse.sparsity >= 0.5 > max(first.sparsity, narrow.sparsity)
    assert narrow.flash_bytes < first.flash_bytes
    file = (tmp_path / "out" / "model.tflite").read_bytes()
    assert sparse.tflite_bytes == len(file)
    assert sparse.gzip_bytes == len(gzip.compress(file, 9, mtime=0)) < narrow.gzip_bytes
    assert sparse.flash_bytes == result.firmware.flash_bytes
    assert sparse.score == result.after == evaluate(load(tmp_path / "out" / "model.tflite"), data)
    assert first.seconds == 0 < narrow.seconds
    record = json.loads((tmp_path / "out" / "smidgen.json").read_text(encoding="utf-8"))
    assert [stage["name"] for stage in record["stages"]] == names
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Step by step" in page and "connections removed" in page
    assert {p.name for p in tmp_path.iterdir()} == {
        "out", "run-channels.ckpt", "run-connections.ckpt",
    }  # fmt: skip
    assert set(tmp_path.glob("*.ckpt")) <= set(checkpoints_of(tmp_path / "run.ckpt"))


@pytest.mark.torch
@pytest.mark.parametrize(("teacher", "name"), [(None, "fine-tuned"), (classifier(), "taught")])
def test_training_without_pruning_is_a_stage_too(data, teacher, name):
    result = squeeze(classifier(), data, finetune=True, teacher=teacher, epochs=1, batch_size=16)
    assert [stage.name for stage in result.stages] == ["as it came", name]
    assert result.stages[0].macs == result.stages[1].macs


@pytest.mark.torch
def test_training_in_integers_comes_last(data, tmp_path):
    result = squeeze(
        classifier(), data, out=tmp_path / "out", qat=True, qat_epochs=1, batch_size=16,
        teacher=classifier(),
    )  # fmt: skip
    assert [stage.name for stage in result.stages] == ["as it came", "trained in integers"]
    assert result.verification.ok and result.errors == ()
    shipped = load(tmp_path / "out" / "model.tflite")
    assert result.stages[1].score == evaluate(shipped, data)
    weights = next(n for n in shipped.nodes if n.op.name == "CONV_2D").inputs[1]
    before = next(n for n in quantize(classifier(), data).nodes if n.op.name == "CONV_2D").inputs[1]
    assert not np.array_equal(shipped.data(weights), quantize(classifier(), data).data(before))


def test_without_training_the_model_is_the_only_stage(squeezed):
    result, _ = squeezed
    (stage,) = result.stages
    assert (stage.score, stage.tflite_bytes) == (result.after, result.tflite_bytes)
    assert "Step by step" not in (result.out / "report.html").read_text(encoding="utf-8")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 3}, "epochs without a step that trains"),
        ({"channels": 0.5, "epoch": 3}, "no setting is called 'epoch'"),
        ({"channels": 0.5, "weights": 1.5}, "sparsity 1.5"),
        ({"channels": 0.5, "epochs": -1}, "epochs is -1"),
        ({"qat": True, "qat_learning_rate": -1}, "learning_rate is -1"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(data, options, says):
    told: list[str] = []
    with pytest.raises(RecipeError, match=says):
        squeeze(classifier(), data, tell=told.append, **options)
    assert told == ["load"]


@pytest.mark.torch
def test_integers_do_not_train(data):
    with pytest.raises(SmidgenError, match="load the float model"):
        squeeze(quantize(classifier(), data.x), data, weights=0.5)


# -- interrupted ---------------------------------------------------------------------------------

# Squeezes and, while the results are half written, says so and waits.
_WAITS = """
import sys, time
import smidgen.cli
import smidgen.report
write = smidgen.report.write_report
def slowly(*args):
    write(*args)
    print("writing", flush=True)
    time.sleep(60)
if sys.argv.pop(1) == "late":
    smidgen.report.write_report = slowly
smidgen.cli.main()
"""


@pytest.fixture
def files(tmp_path, data) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    write_tflite(quantize(classifier(), data.x), tmp_path / "m.tflite")
    return folder


def begin(folder: Path, when: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WAITS, when, "squeeze", str(folder.parent / "m.tflite")]
    return subprocess.Popen(
        [*command, "--out", "out"], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder.parent)},
    )  # fmt: skip


def wait_for(stream, text: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        line = stream.readline()
        assert line, "it ended before"
        if text in line:
            return
    raise AssertionError(f"no {text!r} in two minutes")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, False), (signal.SIGTERM, True), (signal.SIGKILL, True)],
)
def test_nothing_half_written_is_left_by_an_interruption(number, before, files):
    if before:
        (files / "out").mkdir()
        (files / "out" / "smidgen.json").write_text("earlier", encoding="utf-8")
    with begin(files, "late") as process:
        wait_for(process.stdout, "writing")
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number)
    assert "Traceback" not in error
    out = files / "out"
    assert out.exists() == before
    if before:
        assert (out / "smidgen.json").read_text(encoding="utf-8") == "earlier"
    if number != signal.SIGKILL:  # nobody can clean up after that one, and it is hidden
        assert [p.name for p in files.iterdir()] == (["out"] if before else [])
        assert [p.name for p in files.parent.iterdir() if "smidgen" in p.name] == []
    else:
        assert all(p.name == "out" or p.name.startswith(".out-") for p in files.iterdir())


@pytest.mark.e2e
def test_an_early_interruption_leaves_nothing_either(files):
    with begin(files, "early") as process:
        wait_for(process.stderr, "compare with other runtimes")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not list(files.iterdir())


def test_an_error_while_writing_leaves_nothing(tmp_path, data, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smidgen.report.write_report", fail)
    integer = quantize(classifier(), data.x)
    with pytest.raises(OSError, match="No space"):
        squeeze(integer, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_earlier_results_are_replaced_as_a_whole(squeezed):
    result, _ = squeezed
    extra = result.out / "old.txt"
    extra.touch()
    squeeze(quantize(classifier(), images()), out=result.out)
    assert {p.name for p in result.out.iterdir()} == WRITTEN
    np.testing.assert_equal(extra.exists(), False)
