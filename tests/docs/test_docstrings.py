"""The examples in docstrings run.

Each sees what its module has, and the reader's model: `model` (the float graph), `int8` (the same
quantized), `data` (its samples), `images` (64 of them, as `model` takes them), `inputs` (for
`int8`), `firmware` (of `int8`), and `np`; in a folder with `model.keras`, `model.tflite` and
`samples.npz`.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smidgen

# Examples that need what may be absent, a second emulator, are shown and not run.
NOT_RUN = {"smidgen.targets.emulators.qemu_emulator.QemuEmulator"}


def examples() -> dict[str, list[doctest.DocTest]]:
    """The examples of each module that has some."""
    found = {}
    for item in pkgutil.walk_packages(smidgen.__path__, "smidgen."):
        module = importlib.import_module(item.name)
        inside = doctest.DocTestFinder().find(module, item.name)
        if any(test.examples for test in inside):
            found[item.name] = [test for test in inside if test.examples]
    return found


TESTS = examples()


@pytest.fixture(scope="module")
def names(reader: Path) -> dict[str, Any]:
    from smidgen.data import to_model

    data = smidgen.Dataset.from_npz(reader / "samples.npz")
    model = smidgen.load(reader / "model.keras")
    int8 = smidgen.quantize(model, data)
    return {
        "np": np,
        "model": model,
        "int8": int8,
        "data": data,
        "images": to_model(model, data.x[:64]),
        "inputs": smidgen.random_inputs(int8, 8),
        "firmware": smidgen.compile(int8),
    }


@pytest.mark.e2e
@pytest.mark.parametrize("module", TESTS)
def test_examples_in_docstrings_run(module: str, names: dict[str, Any], folder: Path) -> None:
    for test in TESTS[module]:
        if test.name in NOT_RUN:
            continue
        printed: list[str] = []
        test.globs = {**names, **test.globs}
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        result = runner.run(test, out=printed.append)
        assert result.failed == 0, "".join(printed)


def test_no_example_is_skipped_but_those_named() -> None:
    skipping = {
        test.name
        for module in TESTS.values()
        for test in module
        if any(doctest.SKIP in example.options for example in test.examples)
    }
    assert skipping == NOT_RUN
