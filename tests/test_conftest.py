"""The rule about skips is itself tested: a skip fails unless the test is marked."""

from __future__ import annotations

import pytest

from tests.conftest import REPO

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("def test(): pytest.skip('no tool')", {"failed": 1}),
        ("@pytest.mark.skip(reason='later')\ndef test(): pass", {"errors": 1}),
        ("@pytest.mark.may_skip('Windows only')\ndef test(): pytest.skip()", {"skipped": 1}),
        ("@pytest.mark.xfail(strict=True)\ndef test(): assert 0", {"xfailed": 1}),
        ("pytest.importorskip('no_such_module')", {"errors": 1}),
        ("def test(): pass", {"passed": 1}),
    ],
    ids=["skip", "skip-mark", "may_skip", "xfail", "importorskip", "pass"],
)
def test_skips(pytester: pytest.Pytester, body: str, outcome: dict[str, int]) -> None:
    pytester.makeconftest((REPO / "tests" / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = may_skip(reason): may skip\n")
    pytester.makepyfile(f"import pytest\n{body}")
    pytester.runpytest().assert_outcomes(**outcome)
