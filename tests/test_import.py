from __future__ import annotations

import json
import subprocess
import sys

import pytest

import smidgen

HEAVY = {"torch", "keras", "h5py", "onnx", "ai_edge_litert", "tflite_micro", "unicorn", "sklearn"}


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``statement``."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in json.loads(out.stdout.splitlines()[-1])}


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not loaded_by("import smidgen") & (HEAVY | {"numpy"})


def test_every_public_name_resolves_without_a_heavy_import() -> None:
    statement = "import smidgen\nfor name in smidgen.__all__: getattr(smidgen, name)"
    assert not loaded_by(statement) & HEAVY


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'squish'"):
        _ = smidgen.squish
    assert set(smidgen.__all__) <= set(dir(smidgen))
