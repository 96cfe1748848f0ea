"""ONNX's own cases: whatever is not refused computes what ONNX says."""

from __future__ import annotations

import re

import pytest

from tests.frontends.onnx.suite import PAGE, run_all

pytestmark = pytest.mark.onnx


@pytest.mark.filterwarnings("ignore")  # of numpy, when the package computes what it expects
def test_no_case_gives_a_wrong_result() -> None:
    outcomes = run_all()
    failures = {o.case.name: o.failure for o in outcomes if o.failure}
    assert not failures
    passed = sum(bool(o.way) for o in outcomes)
    kept = re.search(r"\*\*(\d+) of (\d+) pass", PAGE.read_text(encoding="utf-8"))
    assert kept is not None
    assert len(outcomes) == int(kept[2]), "another version of onnx: run make onnx-suite"
    assert passed >= int(kept[1]), "fewer pass than docs/onnx-suite.md says"
