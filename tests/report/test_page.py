"""The report: everything is in one file, hostile names stay text, a real browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.data import Dataset
from smidgen.errors import DataError
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.report import build_record, read_record, write_report
from smidgen.report.record import arena_record
from smidgen.squeeze import squeeze

EVIL = '<script>alert("x")</script> & more'


def network():
    rng = np.random.default_rng(0)
    b = GraphBuilder(EVIL)
    x = b.input("x", TensorType((1, 8, 8, 3), "float32"))
    w = b.constant(rng.normal(size=(8, 3, 3, 3)).astype(np.float32), name=EVIL)
    y = b.add(get_op("CONV_2D")(padding="SAME"), [x, w, None], name=EVIL)
    y = b.add(get_op("MEAN")((1, 2)), [y], name="mean")
    return b.build([y])


@pytest.fixture(scope="module")
def record():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 8, 8, 3)).astype(np.float32)
    data = Dataset(x, rng.integers(0, 8, 40), x, rng.integers(0, 8, 40))
    graph = network()
    result = squeeze(graph, data, "nucleo-l4r5zi")
    record = build_record(result, graph)
    first = record["stages"][0]
    record["stages"].append({**first, "name": EVIL, "seconds": 4000.0, "macs": first["macs"] // 2})
    return record


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.emulator
@pytest.mark.oracle
def test_the_record_is_json_and_comes_back(record, tmp_path):
    path = tmp_path / "smidgen.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert read_record(path) == json.loads(json.dumps(record))
    assert read_record(tmp_path) == read_record(path)


@pytest.mark.emulator
@pytest.mark.oracle
def test_the_page_needs_nothing_else_and_shows_the_figures(record, tmp_path):
    page = Page()
    text = write_report(record, tmp_path / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    assert page.links == []
    assert not re.search(r"url\(|@import", text)
    assert "script" not in page.tags
    shown = " ".join(page.text)
    assert EVIL in shown and "1 h 07 min" in shown
    for figure in (record["firmware"]["flash_bytes"], record["firmware"]["instructions"]):
        assert f"{figure:,}" in shown
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--hide-scrollbars --enable-logging=stderr"
)
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"


@pytest.mark.emulator
@pytest.mark.oracle
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1100, LIGHT), (500, DARK)])
def test_a_browser_draws_it(record, width, scheme, tmp_path):
    chromium = shutil.which("chromium")
    assert chromium, "chromium is needed"
    page = write_report(record, tmp_path / "report.html")
    shot = tmp_path / "report.png"
    done = subprocess.run(
        [chromium, *FLAGS.split(), f"--window-size={width},2000", scheme,
         f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    from PIL import Image

    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert pixels.shape[:2] == (2000, width)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50, "the page is blank"
    assert (np.median(pixels) < 60) == (scheme == DARK)
    # Nothing reaches over the edge: its last columns are background all the way down.
    assert len(np.unique(pixels[:, -5:].reshape(-1, 3), axis=0)) == 1
    assert "CONSOLE" not in done.stderr


def test_the_arena_is_drawn_as_planned():
    graph = network()
    drawn = arena_record(plan_arena(graph, select_kernels(graph)))
    assert drawn["bytes"] == max(b["offset"] + b["size"] for b in drawn["buffers"])
    assert len(drawn["steps"]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', "[" * 100_000])
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "smidgen.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError):
        read_record(path)
