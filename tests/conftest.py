"""What every test shares: the folder of real models and data, and a rule about skips."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from smidgen.verify.runtimes import RuntimePool

REPO = Path(__file__).resolve().parent.parent

# A red run is red again on the next machine; `make random` draws anew.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("random", print_blob=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--random-graphs", type=int, default=150, help="how many random graphs to compare"
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data: $SMIDGEN_SHARED, or ``shared`` beside the project."""
    path = Path(os.environ.get("SMIDGEN_SHARED", REPO.parent / "shared"))
    if not (path / "models").is_dir():
        pytest.fail(f"no models in {path}: set SMIDGEN_SHARED to the folder that holds them")
    return path


@pytest.fixture(scope="session")
def pool() -> Iterator[RuntimePool]:
    """The runtimes of others, in processes that serve all tests."""
    from smidgen.verify.runtimes import RuntimePool

    with RuntimePool() as pool:
        yield pool


# A test that is skipped because something is missing looks the same as one that passes. Here it
# fails, unless the test itself says that it may skip: @pytest.mark.may_skip("why").


def _skip_is_a_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped without @pytest.mark.may_skip: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("may_skip")
    if report.skipped and not expected:
        _skip_is_a_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _skip_is_a_failure(report)
    return report
