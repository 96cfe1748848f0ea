"""Drawings: the right lengths, labels that can be read, and names that stay text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from smidgen.report.drawing import WIDTH, arena, bars, budget, histogram

EVIL = "<b onclick='x'>\"&"


def widths(html: str) -> list[float]:
    return [float(w) for w in re.findall(r"width:([\d.]+)%", html)]


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.replace("–", "-"))


def test_bars_are_as_long_as_their_values():
    assert widths(bars([("a", 1.0), ("b", 4.0)], label="test")) == [25, 100]
    assert widths(bars([("a", 1.0)], label="test", top=10)) == [10]
    assert widths(bars([("a", -3.0), ("b", 20.0)], label="test", top=10)) == [0, 100]


def test_bars_take_missing_values_and_long_names():
    drawing = bars([("x" * 100, 1.0), ("none", None)], label="test")
    assert len(widths(drawing)) == 1
    assert "…" in drawing and "–" in drawing
    assert "x" * 100 in drawing, "the whole name is in the tooltip"
    assert bars([], label="test").startswith("<div")


def test_a_limit_is_a_line_in_every_bar():
    drawing = bars([("a", 1.0), ("b", 2.0)], label="test", mark=(0.5, "0.5 at best"))
    assert re.findall(r"left:([\d.]+)%", drawing) == ["25.00", "25.00"]
    assert "0.5 at best" in drawing
    above = bars([("a", 0.1)], label="test", mark=(0.5, "at best"))
    assert widths(above) == [20] and "left:100.00%" in above


def test_a_bar_over_its_limit_is_marked():
    assert 'class="limit"' in budget([("code", 200)], 100, label="flash")
    assert 'class="limit"' not in budget([("code", 50)], 100, label="flash")


@pytest.mark.parametrize("limit", [1000, 50])
def test_a_budget_is_to_scale(limit):
    drawing = parsed(budget([("a", 100), ("b", 50)], limit, label="flash"))
    found = [float(r.get("width")) for r in drawing.iter() if r.tag.endswith("rect")]
    scale = WIDTH / max(limit, 150)
    assert found == pytest.approx([limit * scale, 100 * scale, 50 * scale], abs=0.1)


RECORD = {
    "bytes": 100,
    "steps": ["CONV 'a'", EVIL, "ADD 'c'"],
    "in_use": [50, 100, 60],
    "buffers": [
        {"name": EVIL, "offset": 0, "size": 50, "start": 0, "end": 2},
        {"name": "above", "offset": 50, "size": 50, "start": 1, "end": 2},
        {"name": "covers the first", "offset": 40, "size": 20, "start": 1, "end": 3},
        {"name": "tiny", "offset": 0, "size": 1, "start": 2, "end": 3},
    ],
}


def test_every_buffer_is_a_box_that_can_be_pointed_and_tabbed_to():
    groups = [g for g in parsed(arena(RECORD)).iter() if g.get("class") == "buffer"]
    assert len(groups) == 4
    for group, buffer in zip(groups, RECORD["buffers"], strict=True):
        assert group.get("tabindex") == "0"
        assert buffer["name"] in group.get("aria-label")
        title = next(e for e in group if e.tag.endswith("title"))
        assert f"{buffer['size']:,} bytes at {buffer['offset']:,}" in title.text
        tip = next(e for e in group if e.get("class") == "tip")
        assert "computed by" in tip.text


def test_boxes_lie_where_the_plan_puts_them():
    boxes = [r for r in parsed(arena(RECORD)).iter() if "box" in (r.get("class") or "")]
    heights = [float(b.get("height")) for b in boxes]
    assert heights[0] == heights[1] == pytest.approx(2.5 * heights[2])
    assert heights[3] >= 2, "small ones can still be seen"
    y = [float(b.get("y")) for b in boxes]
    assert y[1] == pytest.approx(y[0] - heights[0], abs=0.2)
    x = [float(b.get("x")) for b in boxes]
    assert x[1] == x[2] > x[0]
    assert float(boxes[0].get("width")) == pytest.approx(2 * float(boxes[1].get("width")), abs=4)


def test_labels_end_where_a_later_box_begins():
    wide = {**RECORD, "steps": [str(i) for i in range(8)]}
    wide["buffers"] = [
        {"name": "n" * 60, "offset": 0, "size": 50, "start": 0, "end": 8},
        {"name": "m" * 60, "offset": 25, "size": 75, "start": 2, "end": 8},
    ]
    labels = [e.text for e in parsed(arena(wide)).iter() if e.get("class") == "inside"]
    assert len(labels[0]) < len(labels[1])


def test_nothing_to_draw_is_no_error():
    assert arena({"bytes": 0, "steps": [], "in_use": [], "buffers": []}).startswith("<svg")


def test_many_steps_have_few_numbers():
    many = {**RECORD, "steps": [str(i) for i in range(500)]}
    ticks = [e for e in parsed(arena(many)).iter() if e.get("class") == "tick"]
    assert 20 <= len(ticks) <= 40


def test_a_histogram_has_its_peak_on_top_and_its_range_below():
    entry = {"name": "w", "int8": [1, 4, 2, 0], "float": [0, 8, 8, 0], "range": [-128, 127]}
    drawing = parsed(histogram(entry))
    heights = [float(r.get("height")) for r in drawing.iter() if r.tag.endswith("rect")]
    assert heights == [22.5, 90, 45, 0]
    texts = [e.text for e in drawing.iter() if e.tag.endswith("text")]
    assert texts == ["-128", "0", "127"]
    line = next(e for e in drawing.iter() if e.tag.endswith("polyline"))
    assert line.get("points").split()[1] == "82.5,0.0"
    without = {**entry, "float": None, "int8": [0] * 4}
    assert "polyline" not in histogram(without)
