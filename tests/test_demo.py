"""The demonstration trains on the spot, fits its board, and takes less than a minute of ours."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from smidgen.demo import digits, run_demo

LIMIT = 60.0  # seconds of processor time


def test_training_and_test_digits_are_apart():
    data = digits()
    assert (len(data.x), len(data.x_test)) == (1437, 360)
    assert data.x.min() == 0 and data.x.max() == 1
    assert set(np.unique(data.y_test)) == set(range(10))
    train = {image.tobytes() for image in data.x}
    assert not any(image.tobytes() in train for image in data.x_test)


def used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


@pytest.mark.e2e
@pytest.mark.keras
@pytest.mark.emulator
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_the_demo_fits_and_keeps_its_accuracy(tmp_path):
    start = used()
    told: list[str] = []
    result = run_demo(tmp_path / "out", tell=told.append)
    assert used() - start < LIMIT
    assert told[0].startswith("train")
    assert result.fits, result.verdict
    assert result.before.value > 0.95
    assert result.after.value >= result.before.value - 0.02
    assert result.verification.ok
    assert result.firmware.flash_bytes < 32_000
    assert (tmp_path / "out" / "report.html").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
