"""The code of every page runs as it stands, in order, and prints what the page says.

Blocks of one page share a folder and their Python names, as they do for a reader. A block with a
title is a file; `bash` is left to the reader (it installs).
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO
from tests.docs.pages import PAGES, Block, blocks, commands, name

EXECUTED = [
    page for page in PAGES if any(b.language in ("python", "console") for b in blocks(page))
]


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("page", EXECUTED, ids=name)
def test_the_code_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen import demo

    monkeypatch.setattr(demo, "EPOCHS", 4)  # for pages that train; the shell trains in full
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            # Blank lines before it make a traceback tell the page's own line.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec"), names)
        elif block.language == "console":
            for command, expected in commands(block):
                run(command, expected, f"{name(page)}:{block.line}")
        else:
            assert block.language in ("bash", "c", "toml"), f"{name(page)}:{block.line}"


def run(command: str, expected: str, where: str) -> None:
    """Run a command as a shell would, and compare what a terminal shows."""
    script = f'smidgen() {{ "{sys.executable}" -m smidgen.cli "$@"; }}; {command}'
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    expected = re.sub(r"^\.\.\.\n", "...", expected, flags=re.MULTILINE)  # no line at all, too
    agrees = doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS)
    assert agrees, f"{where}: $ {command}\n{done.stdout}\nis not\n{expected}"
    wanted = 2 if "error: " in expected else 1 if "Does not fit" in expected else 0
    assert done.returncode == wanted, f"{where}: $ {command}\nexits with {done.returncode}"


def test_a_wrong_output_is_noticed(folder: Path) -> None:
    run("smidgen --version", "0.1.0\n", "here")
    with pytest.raises(AssertionError, match="is not"):
        run("smidgen --version", "9...\n", "here")
    with pytest.raises(AssertionError, match="exits with 2"):
        run("smidgen inspect none.tflite", "...\n", "here")


def test_the_pages_that_matter_have_code() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/faq.md"} <= {name(p) for p in EXECUTED}
    assert (
        sum(len(commands(b)) for p in EXECUTED for b in blocks(p) if b.language == "console") > 20
    )


def test_a_console_block_is_read_line_by_line() -> None:
    block = Block(1, "console", "", "$ one\n$ two\na\nb\n")
    assert commands(block) == [("one", ""), ("two", "a\nb\n")]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("script", "arguments", "last"),
    [
        ("squeeze_keras.py", "model.keras samples.npz arduino-nano-33-ble", "Fits Arduino ..."),
        ("tflite_to_firmware.py", "model.tflite nucleo-l4r5zi", "model agrees with ..."),
        ("torch_to_firmware.py", "samples.npz nucleo-l4r5zi", "Sequential agrees with ..."),
        ("onnx_to_firmware.py", "model.onnx images.npz nucleo-l4r5zi", "model agrees with ..."),
    ],
)
def test_an_example_runs(script: str, arguments: str, last: str, folder: Path) -> None:
    python, path = shlex.quote(sys.executable), shlex.quote(str(REPO / "examples" / script))
    run(f"{python} {path} {arguments}", f"...\n{last}\n", script)


def test_every_example_is_run_and_listed() -> None:
    scripts = {path.name for path in (REPO / "examples").glob("*.py")}
    assert scripts == {
        "onnx_to_firmware.py",
        "squeeze_keras.py",
        "tflite_to_firmware.py",
        "torch_to_firmware.py",
    }
    assert all(f"({script})" in (REPO / "examples/README.md").read_text() for script in scripts)
