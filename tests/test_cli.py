"""The command line as a user meets it: what it prints, its exit codes, what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from smidgen.backends.tflite import write_tflite
from smidgen.demo import digits
from smidgen.ir import GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from tests.transforms.quantize.networks import classifier, images


def smidgen(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smidgen.cli", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=250
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A float and an int8 classifier of 8x8 images, and the digits."""
    path = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    for name, quant in (("float", None), ("int8", QuantParams.per_tensor(1 / 255, -128))):
        b = GraphBuilder(name)
        x = b.input("x", TensorType((1, 8, 8, 1), "int8" if quant else "float32", quant))
        if quant:
            data = rng.integers(-127, 128, (4, 3, 3, 1)).astype(np.int8)
            w = b.constant(data, quant=QuantParams.per_channel([0.01] * 4, 0))
        else:
            w = b.constant(rng.normal(size=(4, 3, 3, 1)).astype(np.float32))
        conv = get_op("CONV_2D")(padding="SAME", fused_activation_function="RELU")
        y = b.add(conv, [x, w, None], quant=quant and QuantParams.per_tensor(0.02, -128), name="a")
        flat = b.add(get_op("RESHAPE")((1, 256)), [y], quant=b.type(y).quant)
        if quant:
            data = rng.integers(-127, 128, (10, 256)).astype(np.int8)
            v = b.constant(data, quant=QuantParams.per_tensor(0.01))
        else:
            v = b.constant(rng.normal(size=(10, 256)).astype(np.float32))
        dense = get_op("FULLY_CONNECTED")()
        z = b.add(dense, [flat, v, None], quant=quant and QuantParams.per_tensor(0.5, 0), name="b")
        write_tflite(b.build([z]), path / f"{name}.tflite")
    data = digits()
    np.savez(path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    np.save(path / "x.npy", data.x[:3])
    return path


def test_help_is_quick():
    smidgen("--help")  # compiled files and caches are warm after this
    best = min(_seconds() for _ in range(5))
    assert best < 0.3


def _seconds() -> float:
    """User plus system time: other programs on this machine do not count."""
    before = os.times()
    assert smidgen("--help").returncode == 0
    after = os.times()
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )


def test_version():
    assert smidgen("--version").stdout.strip() == "0.1.0"


def test_inspect(folder):
    facts = json.loads(smidgen("inspect", folder / "int8.tflite", "--json").stdout)
    assert facts["macs"] == 8 * 8 * 4 * 9 + 2560
    assert [x["operator"] for x in facts["layers"]] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert "MACs" in smidgen("inspect", folder / "float.tflite").stdout


def test_boards():
    known = json.loads(smidgen("boards", "--json").stdout)
    assert len(known) >= 12
    assert "nucleo-l4r5zi" in smidgen("boards").stdout


def test_shrink_keeps_every_byte(folder, tmp_path):
    done = smidgen("shrink", folder / "int8.tflite", "-o", tmp_path / "s.tflite", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["file_bytes"][1] == (tmp_path / "s.tflite").stat().st_size


@pytest.mark.toolchain
def test_quantize_then_compile_then_run(folder, tmp_path):
    model = tmp_path / "q.tflite"
    done = smidgen("quantize", folder / "float.tflite", "-d", folder / "data.npz", "-o", model)
    assert done.returncode == 0, done.stderr
    assert "likely cause" in done.stdout
    done = smidgen("compile", model, "-o", tmp_path / "fw", "--json")
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    assert sizes["flash_bytes"] == sizes["code_bytes"] + sizes["constant_bytes"]
    assert (tmp_path / "fw" / "q.h").is_file()
    host = smidgen("run", model, "-i", folder / "x.npy", "--on", "host", "--json")
    chip = smidgen("run", model, "-i", folder / "x.npy", "--profile", "--json")
    assert chip.returncode == 0, chip.stderr
    host_facts, chip_facts = json.loads(host.stdout), json.loads(chip.stdout)
    assert host_facts["outputs"] == chip_facts["outputs"]
    assert sum(x["instructions"] for x in chip_facts["layers"]) > 0
    assert chip_facts["stack_bytes"] > 0


@pytest.mark.parametrize("recipe", ["int8", "int8-entropy"])
def test_float_inputs_and_outputs_with_any_recipe(folder, tmp_path, recipe):
    model = tmp_path / "f.tflite"
    arguments = ["-d", folder / "data.npz", "-o", model, "--recipe", recipe, "--float-io"]
    done = smidgen("quantize", folder / "float.tflite", *arguments)
    assert done.returncode == 0, done.stderr
    layers = json.loads(smidgen("inspect", model, "--json").stdout)["layers"]
    assert [layers[0]["operator"], layers[-1]["operator"]] == ["QUANTIZE", "DEQUANTIZE"]
    assert layers[-1]["dtype"] == "float32" and layers[1]["dtype"] == "int8"


def test_bias_scales_are_written_for_delegates_only(tmp_path):
    write_tflite(classifier(), tmp_path / "float.tflite")
    np.savez(tmp_path / "data.npz", x=images())
    sizes = []
    for flags in ([], ["--delegates"]):
        arguments = ["-d", tmp_path / "data.npz", "-o", tmp_path / "q.tflite", *flags, "--json"]
        done = smidgen("quantize", tmp_path / "float.tflite", *arguments)
        facts = json.loads(done.stdout)
        assert facts["file_bytes"] == (tmp_path / "q.tflite").stat().st_size
        sizes.append(facts["file_bytes"])
    assert sizes[0] < sizes[1]


@pytest.mark.emulator
def test_a_profile_stands_beside_the_limit(folder):
    arguments = ["run", folder / "int8.tflite", "--profile", "--board"]
    facts = json.loads(smidgen(*arguments, "nucleo-l4r5zi", "--json").stdout)
    assert facts["cycles_per_mac_limit"] == 0.5
    conv = facts["layers"][0]
    assert conv["macs"] == 8 * 8 * 4 * 9
    assert conv["cycles_per_mac_estimated"] == conv["cycles_estimated"] / conv["macs"] > 0.5
    assert "at best" in smidgen(*arguments, "nucleo-l4r5zi").stdout
    assert "at best" not in smidgen(*arguments, "nucleo-l053r8").stdout
    done = smidgen(*arguments, "nucleo-l4r5zi", "--on", "host")
    assert done.returncode == 2 and "emulator" in done.stderr


@pytest.mark.oracle
@pytest.mark.emulator
def test_verify(folder):
    done = smidgen("verify", folder / "int8.tflite", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


@pytest.mark.e2e
def test_squeeze_writes_everything_and_report_draws_it_again(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["squeeze", folder / "float.tflite", "-d", folder / "data.npz", "-o", out]
    done = smidgen(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["fits"] is True
    assert {p.name for p in out.iterdir()} == {
        "model.tflite",
        "firmware",
        "report.html",
        "smidgen.json",
    }
    assert abs(facts["before"]["value"] - facts["after"]["value"]) < 0.05
    first = (out / "report.html").read_text(encoding="utf-8")
    assert smidgen("report", out, "-o", tmp_path / "again.html").returncode == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == first
    # The same again, for a board it cannot fit: exit code 1, and a verdict that says by how much.
    done = smidgen(*arguments, "--flash", "1KB", "--json")
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert facts["verdict"].startswith("Does not fit")
    assert "too many" in facts["verdict"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inspect", "nothing.tflite"], "no such file"),
        (["inspect", "notes.txt"], "no known format"),
        (["inspect", "model.onnx"], "ONNX"),
        (["inspect", "model.onnx", "--fix", "sr"], "--fix sr=16000"),
        (["inspect", "model.onnx", "--shape", "x=1,b"], "--shape x=1,3,96,96"),
        (["inspect", "cut.tflite"], "cut.tflite"),
        (["quantize", "float.tflite"], "no samples"),
        (["quantize", "int8.tflite", "-d", "data.npz"], "quantized already"),
        (["quantize", "float.tflite", "-d", "x.npy"], "npz"),
        (["quantize", "float.tflite", "-d", "wrong.npz"], "samples of shape"),
        (["quantize", "float.tflite", "-d", "data.npz", "--recipe", "int3"], "no recipe"),
        (["compile", "int8.tflite", "-b", "nucleo-l4r5zl", "-o", "fw"], "nucleo-l4r5zi"),
        (["compile", "int8.tflite", "--optimize", "best", "-o", "fw"], "balanced"),
        (["compile", "int8.tflite", "-o", "theirs"], "theirs"),
        (["run", "int8.tflite", "-i", "notes.txt"], "npy"),
        (["run", "int8.tflite", "-i", "wrong.npz"], "samples of shape"),
        (["run", "int8.tflite", "--on", "moon"], "moon"),
        (["squeeze", "float.tflite", "-o", "new"], "samples"),
        (["squeeze", "int8.tflite", "--flash", "lots", "-o", "new"], "64KB"),
        (["report", "nothing"], "no such file"),
        (["report", "notes.txt"], "JSON"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_input_gets_one_clear_error(folder, arguments, says):
    (folder / "notes.txt").write_text("not a model", encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"\x08\x07")
    (folder / "cut.tflite").write_bytes((folder / "int8.tflite").read_bytes()[:700])
    np.savez(folder / "wrong.npz", x=np.zeros((4, 9, 9, 1), np.float32))
    (folder / "theirs").mkdir(exist_ok=True)
    (folder / "theirs" / "thesis.txt").write_text("work", encoding="utf-8")
    before = {p.name for p in folder.iterdir()}
    start = time.monotonic()
    done = smidgen(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert {p.name for p in folder.iterdir()} == before, "something half-written was left"
    assert time.monotonic() - start < 60


def test_errors_are_json_when_asked_for(folder):
    done = smidgen("inspect", folder / "nothing.tflite", "--json")
    assert done.returncode == 2
    assert "no such file" in json.loads(done.stdout)["error"]["message"]


@pytest.mark.parametrize("budget", ["ram", "flash"])
def test_a_budget_that_is_not_kept_is_a_failed_check(folder, tmp_path, budget):
    done = smidgen(
        "compile", folder / "int8.tflite", "-o", tmp_path, f"--{budget}", "100", "--json"
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["spare"][budget] < 0
