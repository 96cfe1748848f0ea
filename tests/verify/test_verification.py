from __future__ import annotations

import json
import math

import pytest
from rich.console import Console

from smidgen.verify import ORACLE, Row, Verification

REFERENCE = Row("int_ref", "reference", must_agree=False, samples=3)
EXACT = Row("host C", "agrees", True, max_difference=0.0, samples=3, tensors=4, version="cc 1")
PROOF = Row(ORACLE, "agrees", True, max_difference=0.0, samples=3)
ABSENT = Row(ORACLE, "not run", True, reason="tflite-micro is not installed")
OFF = Row("host C", "differs", True, max_difference=2.0, first_divergent="t[7]", samples=3)
NOISE = Row("LiteRT XNNPACK", "differs", False, max_difference=1.0, samples=3)


def of(*rows: Row) -> Verification:
    return Verification("net", 3, (REFERENCE, *rows))


@pytest.mark.parametrize(
    ("rows", "ok", "proven", "verdict"),
    [
        ((EXACT, PROOF), True, True, "net agrees with TensorFlow Lite Micro"),
        ((EXACT, PROOF, NOISE), True, True, "net agrees with TensorFlow Lite Micro"),
        ((EXACT, ABSENT), True, False, "nothing differs, but TensorFlow Lite Micro did not run"),
        ((EXACT,), True, False, "did not run"),
        ((OFF, PROOF), False, False, "net does not agree on: host C"),
        ((Row("host C", "failed", True, reason="it broke"), PROOF), False, False, "host C"),
    ],
)
def test_the_verdict(rows: tuple[Row, ...], ok: bool, proven: bool, verdict: str) -> None:
    check = of(*rows)
    assert (check.ok, check.proven) == (ok, proven)
    assert verdict in check.verdict


@pytest.mark.parametrize(
    ("row", "status", "exact"),
    [
        (REFERENCE, "reference", False),
        (EXACT, "exact", True),
        (OFF, "differs by up to 2 LSB", False),
        (NOISE, "differs by up to 1 LSB (it may)", False),
        (ABSENT, "not run: tflite-micro is not installed", False),
        (Row("x", "agrees", True, max_difference=2.5e-7, unit=""), "within 2.5e-07", False),
        (Row("x", "differs", True, max_difference=0.0), "outputs exact, tensors inside", False),
        (Row("x", "differs", True, max_difference=math.inf), "other shapes", False),
    ],
)
def test_the_status_of_a_row(row: Row, status: str, exact: bool) -> None:
    assert status in row.status
    assert row.exact is exact


def test_json_is_json() -> None:
    check = of(Row("x", "differs", True, max_difference=math.inf), PROOF)
    back = json.loads(json.dumps(check.to_json(), allow_nan=False))
    assert back["rows"][1]["max_difference"] is None
    assert back["rows"][2]["exact"] is True
    assert (back["oracle"], back["ok"], back["samples"]) == (ORACLE, False, 3)


def test_the_table_shows_every_row() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(of(OFF, PROOF, NOISE, ABSENT).table())
    text = capture.get()
    for words in ("net, 3 samples", "differs by up to 2 LSB", "first at t[7]", "not installed"):
        assert words in text
    assert "net does not agree on: host C" in text


def test_long_names_are_cut_in_the_table_only() -> None:
    name = "a;" * 100
    check = of(Row("host C", "differs", True, max_difference=1.0, first_divergent=name))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(check.table())
    assert "first at a;a;" in capture.get()
    assert name not in "".join(capture.get().split())
    assert check.to_json()["rows"][1]["first_divergent"] == name
